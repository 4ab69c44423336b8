"""What the pages of an audit need from outside, as a role: `pipeline/cli/console_audit.py` builds it.

Place in the flow: below the pages of verification, controls, subject report and bundles. Methods are called from
threads, several at once; each may raise Away. Times UTC microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.audit.controls import ControlRegister, JudgedControls
from pipeline.audit.health import NotaryView
from pipeline.audit.subject_report import SubjectReport
from pipeline.audit.verification import VerificationRun, Verifications


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenBundle:
    """Accesses with their proofs as one archive. `fingerprint`: SHA-256 of the bundle's manifest, in hex."""

    body: bytes = field(repr=False)
    name: str
    rows: int
    trees: int
    fingerprint: str


class AuditDesk(Protocol):
    """What auditors and data protection officers ask of one deployment."""

    def verifications(self) -> Verifications:
        """The runs of verification that left something behind, the newest first; asks no store."""
        ...

    def last_judged(self) -> VerificationRun | None:
        """The newest that came to a verdict; asks no store."""
        ...

    def notaries(self) -> Sequence[NotaryView]:
        """Every notary that says how it is, with its anchors; asks no store."""
        ...

    def subject_report(
        self, tokens: Sequence[str], from_us: int, until_us: int, case_ref: str, *, with_actors: bool
    ) -> SubjectReport | None:
        """The report to a data subject; None: evidence and table by subject differ, so nothing is handed out.

        `with_actors`: the tokens of the accounts too. Raises: UsageError `report_large`, `report_late`.
        """
        ...

    def bundle(self, tokens: Sequence[str], from_us: int, until_us: int, made_us: int) -> ProvenBundle:
        """The accesses to one data subject with their proofs.

        Raises: UsageError `nothing_found`, `export_large`, `not_signed_yet`, `export_busy`, `draft_failed`.
        """
        ...

    def controls(self) -> ControlRegister:
        """Laws, controls and the statements that are their evidence; asks no store. Raises: ConfigError."""
        ...

    def judged(self, from_us: int, to_us: int) -> JudgedControls:
        """What the controls came to in a period."""
        ...
