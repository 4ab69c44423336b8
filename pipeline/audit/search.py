"""A question to the log of accesses, and the accesses that answer it, page by page.

Place in the flow: asked by the console's search and by exports, answered by `adapters/access_reading.py`. Identifiers
are tokens here: whoever asks turns them into tokens in its own process, so no identity stands in SQL, addresses or
logs. The newest access comes first; of one moment the log's position decides. A page goes on behind the last access of
the one before, so what arrives meanwhile neither repeats nor hides anything. Risk in hundredths, times UTC
microseconds, counts -1 where a source gave none.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from pipeline.audit.text_search import LONGEST_TEXT, refuse_identifiers, words_of
from pipeline.columns import TOKEN_BYTES
from pipeline.errors import UsageError
from pipeline.events import ACTIONS, EXPLAINED, OUTCOMES

MOST_ROWS = 1_000
"""At most so many accesses on one page."""
TOKEN_KINDS = ("actor", "subject", "resource", "case")
"""What can be asked for by identifier."""
UNEXPLAINED = "unexplained"
VERDICTS = (*EXPLAINED, UNEXPLAINED)
"""What explains an access: what the stream said, until a day later a verdict says it for good."""
NO_RISK, HIGHEST_RISK = 0, 10_000
_LONGEST_TEXT, _MOST_TOKENS = 256, 4
_TOKEN = re.compile(f"[0-9a-f]{{{2 * TOKEN_BYTES}}}").fullmatch
_LONGEST_CURSOR = 1_000


def token_of(text: str) -> str | None:
    """A text that is a token already, in small letters; None: it is none."""
    plain = text.strip().lower()
    return plain if _TOKEN(plain) else None


class Cursor(NamedTuple):
    """Where a page ended: the last access shown. As text it travels in addresses; it names positions only."""

    event_time_us: int
    topic: str
    incarnation: str
    partition: int
    offset: int

    def text(self) -> str:
        """As it stands in an address."""
        return base64.urlsafe_b64encode(json.dumps(list(self), separators=(",", ":")).encode()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> Cursor:
        """The cursor whose `text()` this is. Raises: UsageError: it is none."""
        try:
            if len(text) > _LONGEST_CURSOR:
                raise ValueError
            values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            event_time_us, topic, incarnation, partition, offset = values
            whole = (event_time_us, partition, offset)
            if not all(isinstance(one, str) for one in (topic, incarnation)) or not all(type(n) is int for n in whole):
                raise ValueError
            if not 0 <= partition < 2**32 or not 0 <= offset < 2**64 or not -(2**62) < event_time_us < 2**62:
                raise ValueError
        except (ValueError, TypeError, binascii.Error):
            raise UsageError("this page of the search cannot be found: search again", code="bad_cursor") from None
        return cls(event_time_us, topic, incarnation, partition, offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is looked for; everything given must hold, "" and () mean any. Tokens in hex, several: any of them.

    `from_us` is included, `until_us` is not. `explained`: words of `VERDICTS`, as far as it is known by now. `text`:
    words of what people wrote, as `text_search.py` compares them; it may name somebody, and stays out of any repr.
    """

    tenant: str
    from_us: int
    until_us: int
    actors: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    purpose: str = ""
    resource_type: str = ""
    actions: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()
    least_risk: int = NO_RISK
    text: str = field(default="", repr=False)

    def tokens(self) -> Mapping[str, tuple[str, ...]]:
        """The tokens asked for, by kind; kinds that are not asked for are left out."""
        by_kind = {
            "actor": self.actors, "subject": self.subjects, "resource": self.resources, "case": self.cases,
        }  # fmt: skip
        return {kind: tokens for kind, tokens in by_kind.items() if tokens}


def checked(question: Question) -> Question:
    """The question as it is. Raises: UsageError: it cannot be asked, with every fault; never repeats a value."""
    if len(question.text) <= LONGEST_TEXT:
        refuse_identifiers(question.text)
    faults = [
        *_faults_of_words(question),
        *_faults_of_tokens(question),
        *(
            f"{name} may have {_LONGEST_TEXT} characters"
            for name in ("purpose", "resource_type")
            if len(getattr(question, name)) > _LONGEST_TEXT
        ),
    ]
    if len(question.text) > LONGEST_TEXT:
        faults.append(f"the text may have {LONGEST_TEXT} characters")
    if question.text and not words_of(question.text):
        faults.append("the text has no words")
    if not question.tenant or len(question.tenant) > _LONGEST_TEXT:
        faults.append("the tenant has no name")
    if question.from_us >= question.until_us:
        faults.append("the period must end after it begins")
    if not NO_RISK <= question.least_risk <= HIGHEST_RISK:
        faults.append("a risk lies between 0 and 100")
    if faults:
        raise UsageError("this cannot be searched for: " + "; ".join(faults), code="bad_search")
    return question


def _faults_of_words(question: Question) -> list[str]:
    known = {"actions": ACTIONS, "outcomes": OUTCOMES, "explained": VERDICTS}
    return [
        f"there is no such word among the {name}"
        for name, words in known.items()
        if not set(getattr(question, name)) <= set(words)
    ]


def _faults_of_tokens(question: Question) -> list[str]:
    return [
        f"{kind}: at most {_MOST_TOKENS} tokens of {2 * TOKEN_BYTES} hexadecimal digits"
        for kind, tokens in question.tokens().items()
        if len(tokens) > _MOST_TOKENS or any(_TOKEN(one) is None for one in tokens)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessBrief:
    """What the table by subject knows of one access, too; tokens are hex.

    `explained`: what the stream said; `verdict`: what is said for good a day later, "" before.
    """

    event_time_us: int
    topic: str
    incarnation: str
    partition: int
    offset: int
    event_id: str
    tenant_id: str
    actor_token: str
    actor_dept: str
    action: str
    outcome: str
    resource_type: str
    purpose: str
    explained: str
    verdict: str
    risk: int

    @property
    def said(self) -> str:
        """Whether it is explained, as far as it is known by now: one of `VERDICTS`, "" where nobody asked."""
        return self.verdict or self.explained

    @property
    def cursor(self) -> Cursor:
        """Its place in the order of answers."""
        return Cursor(self.event_time_us, self.topic, self.incarnation, self.partition, self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRow(AccessBrief):
    """One access as people read it. `subject_tokens`: the first of them, `subject_count`: how many there were."""

    received_us: int
    actor_type: str
    actor_org: str
    actor_role: str
    on_behalf_of_token: str
    channel: str
    app_id: str
    source_system: str
    endpoint: str
    resource_token: str
    resource_id: str
    case_token: str
    justification: str
    denial_reason: str
    src_country: str
    src_city: str
    network_kind: str
    records_returned: int
    subject_count: int
    subject_tokens: Sequence[str]
    data_categories: Sequence[str]
    fields_unmasked: Sequence[str]
    score_status: str
    reasons: Sequence[str]
    is_duplicate: bool


BRIEF_FIELDS = tuple(one.name for one in fields(AccessBrief))
ROW_FIELDS = tuple(one.name for one in fields(AccessRow))
"""Names of an access's values, in the order of a row of `adapters/access_reading.py` and of an export."""


@dataclass(frozen=True, slots=True)
class AccessPage:
    """Some accesses, newest first. `after`: where the next page goes on; None: this was the last."""

    rows: Sequence[AccessRow]
    after: Cursor | None


def page_of(rows: Sequence[AccessRow], limit: int) -> AccessPage:
    """The page of the first `limit` rows; the reader is asked for one more than are shown."""
    shown = rows[:limit]
    return AccessPage(shown, shown[-1].cursor if len(rows) > limit and shown else None)
