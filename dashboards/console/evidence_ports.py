"""What the evidence pages need from outside, as a role: `pipeline/cli/console_evidence.py` builds it.

Place in the flow: below the pages of search, account, data subject, rules and health. Methods are called from threads,
several at once; each may raise Away. Times UTC microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.audit.actor import ActorProfile
from pipeline.audit.health import HealthView
from pipeline.audit.identifiers import Named
from pipeline.audit.incidents import AlertView, IncidentView
from pipeline.audit.rules import RulesView
from pipeline.audit.search import AccessPage, Cursor, Question
from pipeline.audit.subject import CrossCheck, SubjectHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionDraft:
    """An exception that somebody thinks of, identifiers as tokens. `up_to`: a level, 0: none."""

    scope: Mapping[str, str]
    detectors: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    up_to: float = 0.0
    days: int = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewView:
    """What such an exception would have held back. `worst`: alerts by alert_id, time_us, detector, risk, severity."""

    days: int
    reaching: int
    held_back: int
    alerts: Mapping[str, int]
    worst: Sequence[Mapping[str, Any]]
    is_cut: bool


class Identities(Protocol):
    """Whom a token stands for, as far as anybody can say."""

    def of(self, kind: str, token: str) -> str | None:
        """The identifier (`kind`: actor, subject) behind a token; None: nobody here knows it."""
        ...


class EvidenceDesk(Protocol):
    """Questions to the evidence, on behalf of one tenant."""

    @property
    def tenant(self) -> str:
        """Whose evidence it is."""
        ...

    @property
    def identities(self) -> Identities:
        """Who is behind tokens."""
        ...

    def named(self, kind: str, text: str) -> Named:
        """The tokens of what a viewer typed. Raises: UsageError; never repeats it."""
        ...

    def found(self, question: Question, limit: int, after: Cursor | None) -> AccessPage:
        """The accesses that answer, newest first."""
        ...

    def subject(self, token: str, from_us: int, until_us: int) -> SubjectHistory:
        """Who touched a data subject."""
        ...

    def check(self, token: str, from_us: int, until_us: int) -> CrossCheck | None:
        """The same count, of the evidence itself; None: it takes longer than anybody waits for."""
        ...

    def actor(self, token: str, until_us: int, zone: str) -> ActorProfile:
        """What an account does."""
        ...

    def incidents_of(self, token: str) -> Sequence[IncidentView]:
        """The incidents of an account, the newest first."""
        ...

    def alerts_of(self, token: str, since_us: int) -> Sequence[AlertView]:
        """The alerts about an account, the newest first."""
        ...

    def rules(self, now_us: int) -> RulesView:
        """What events are judged by."""
        ...

    def preview(self, draft: ExceptionDraft) -> PreviewView:
        """What an exception would have held back. Raises: UsageError: nobody may make such a one."""
        ...

    def health(self, now_us: int) -> HealthView:
        """How the pipeline is; what does not answer is named in it."""
        ...
