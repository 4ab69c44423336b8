"""One request as a page sees it, and what a page answers.

Place in the flow: made by `guard.py` from a request that passed every check, handed to the route's handler, whose
answer `guard.py` renders and sends. Handlers are plain functions of a visit, run in a thread; they know no Starlette.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from dashboards.console.ports import Parts
from dashboards.console.sessions import Kept, Session, Sessions
from dashboards.console.words import Language
from pipeline.accounts.model import Account
from pipeline.accounts.permissions import may
from pipeline.errors import UsageError

if TYPE_CHECKING:  # it imports this module
    from dashboards.console.live import Snapshot

LONGEST_FIELD = 4_000


@dataclass(frozen=True, slots=True)
class Fields:
    """Values of a query or a form by name; a name may come several times."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def text(self, name: str, default: str = "", *, longest: int = LONGEST_FIELD) -> str:
        """The first value, blanks around it cut off. Raises: UsageError: too long, or with control characters."""
        found = (self.values.get(name) or (default,))[0].strip()
        if len(found) > longest or "\x00" in found:
            raise UsageError(f"the field {name} is too long or holds characters that it may not", code="bad_field")
        return found

    def secret(self, name: str) -> str:
        """A password or a code: as it is."""
        found = (self.values.get(name) or ("",))[0]
        if len(found) > LONGEST_FIELD:
            raise UsageError("that is too long", code="bad_field")
        return found

    def all(self, name: str, most: int = 200) -> tuple[str, ...]:
        """Every value. Raises: UsageError: more than `most`."""
        found = tuple(self.values.get(name, ()))
        if len(found) > most:
            raise UsageError(f"at most {most} at once", code="too_many")
        return found


class LiveState(Protocol):
    """Where the overview's first paint finds the present state (`live.Snapshots`)."""

    def fresh(self) -> Snapshot:
        """A young snapshot, taken now where there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request. `account`, `session`: None where nobody is signed in; `path`: the places of the route's path.

    `is_fragment`: htmx asks for a part of a page; `here`: the path with its query, same-site.
    """

    parts: Parts
    sessions: Sessions
    live: LiveState
    account: Account | None
    session: Session | None
    language: Language
    zone: str
    path: Mapping[str, str]
    query: Fields
    form: Fields
    is_fragment: bool
    method_is_get: bool
    here: str
    address: str
    now_us: int

    @property
    def who(self) -> Account:
        """The account of whoever asks, on routes that need one."""
        assert self.account is not None  # noqa: S101  the guard lets nobody else in
        return self.account

    @property
    def kept(self) -> Kept:
        """What the viewer typed and no address may hold, on routes that need an account."""
        assert self.session is not None  # noqa: S101  as `who`
        return self.session.kept

    def may(self, action: str) -> bool:
        """Whether whoever asks may do an action of the matrix."""
        return self.account is not None and may(self.account.roles, action)

    def note(self, key: str, *values: str, kind: str = "done") -> None:
        """Keeps a sentence for the next page that is shown. `key`: of the words; `kind`: done, queued, refused."""
        if self.session is not None:
            self.session.notes.append(Note(key, values, kind))

    @staticmethod
    def sentence(key: str, *values: str, kind: str = "done") -> Note:
        """The same for another session than the present one."""
        return Note(key, values, kind)


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for the viewer: key of the words and what stands in its places."""

    key: str
    values: tuple[str, ...] = ()
    kind: str = "done"


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered template, the page's values and its HTTP status."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Download:
    """A file for the viewer: its bytes, its name (plain ASCII) and its media type."""

    body: bytes
    name: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """See Other. `signed_in`: a new session whose cookie is set; `signed_out`: the cookie is taken away.

    `cookies`: what the viewer chose (language), name to value.
    """

    to: str
    signed_in: Session | None = None
    signed_out: bool = False
    cookies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """Server-sent events for as long as the viewer listens; `topic`: what of the live snapshot."""

    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a handler of a route with `shows_evidence` answers: the page, and what its audit event says of it.

    Fields besides `page` are those of `pipeline.audit.reads.Read`.
    """

    page: Page | Download
    look: str
    rows: int
    about: str = ""
    reason: str = ""
    subject_ids: tuple[str, ...] = ()
    unmasked: tuple[str, ...] = ()
    case_ref: str = ""
    approval_ref: str = ""
    fingerprint: str = ""


Answer: TypeAlias = Page | Download | Redirect | Stream | Evidence


def same_site(path: str, default: str = "/") -> str:
    """The path if it leads to a page of ours, else the default: no open redirect.

    >>> same_site("/incidents?state=open"), same_site("//evil.example"), same_site("https://evil.example")
    ('/incidents?state=open', '/', '/')
    """
    plain = path.isprintable() and path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path
    return path if plain and len(path) <= 2_000 else default
