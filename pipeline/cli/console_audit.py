"""The audit pages' desk: runs of verification, notaries, the subject report, bundles, controls.

Place in the flow: built by `console.py`, shared by all threads. The store is asked as the database role reader, within
limits, since somebody waits; what verification and notaries say is read from the state folder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from dashboards.console.audit_ports import ProvenBundle
from pipeline.adapters.audit_reading import AuditReader
from pipeline.adapters.reader_pool import IT_ANSWERS, Questions
from pipeline.adapters.status_file import read_workers
from pipeline.adapters.subject_report_reading import SubjectReportReader
from pipeline.adapters.verification_results import VerificationResults
from pipeline.audit.controls import ControlRegister, JudgedControls, judge
from pipeline.audit.health import AnchorView, NotaryView
from pipeline.audit.register_reading import read_controls
from pipeline.audit.report import Scope
from pipeline.audit.subject_report import SubjectReport
from pipeline.audit.verification import VerificationRun, Verifications
from pipeline.cli.evidence_archive import EvidenceArchives
from pipeline.cli.kept_answers import KeptAnswers
from pipeline.cli.subject_report import AskedReport, report_from
from pipeline.config import Settings
from pipeline.errors import Away, UsageError
from pipeline.events import DEFAULT_TENANT

MOST_REPORTED = 10_000
"""Accesses in a report that a page shows and hands out; more are written by the command."""
_LIMIT_S = 12
"""Of one statement: below what a connection of the console waits for an answer."""
_WHOLE_S = 40
"""Of all statements about controls: longer nobody waits for a page."""
_KEPT_S, _MOST_KEPT = 60.0, 8


class ConsoleAudit:
    """Role `dashboards.console.audit_ports.AuditDesk`."""

    def __init__(self, settings: Settings, questions: Questions, tenant: str = DEFAULT_TENANT) -> None:
        self._settings, self._questions, self._tenant = settings, questions, tenant
        self._results = VerificationResults(settings.state_dir)
        self._archives = EvidenceArchives(settings, questions)
        self._judged: KeptAnswers[JudgedControls] = KeptAnswers(_KEPT_S, _MOST_KEPT)

    def verifications(self) -> Verifications:
        """The runs that are kept."""
        return self._results.all()

    def last_judged(self) -> VerificationRun | None:
        """The newest that came to a verdict; older ones are not read."""
        return self._results.last_judged()

    def notaries(self) -> Sequence[NotaryView]:
        """As their status files say."""
        return [_notary(one) for one in read_workers(self._settings.state_dir / "run", "notary")]

    def subject_report(
        self, tokens: Sequence[str], from_us: int, until_us: int, case_ref: str, *, with_actors: bool
    ) -> SubjectReport | None:
        """The report, of at most ten thousand accesses. Raises: UsageError: more, or it takes too long; Away."""
        asked = AskedReport(self._tenant, tokens, (from_us, until_us), case_ref, with_actors, MOST_REPORTED)
        try:
            return report_from(SubjectReportReader(self._questions, _LIMIT_S), self._settings, asked)
        except Away as exc:
            if exc.code != "store_slow":
                raise
            raise UsageError(
                "the evidence of this period is too large to be read while you wait: choose a shorter one, or use "
                "`accesstrail subject-report`", code="report_late",
            ) from None  # fmt: skip

    def bundle(self, tokens: Sequence[str], from_us: int, until_us: int, made_us: int) -> ProvenBundle:
        """The accesses to one data subject, each with its proof."""
        return self._archives.of_subject(self._tenant, tokens, (from_us, until_us), made_us)

    def controls(self) -> ControlRegister:
        """The register that is shipped."""
        return _register()

    def judged(self, from_us: int, to_us: int) -> JudgedControls:
        """What the controls came to; the same period asked again within a minute is answered from memory."""
        whole = lambda one: not one.unanswered  # noqa: E731  what a busy minute could not answer is asked again
        return self._judged.answer((from_us, to_us), lambda: self._judge(from_us, to_us), whole)

    def _judge(self, from_us: int, to_us: int) -> JudgedControls:
        register, kafka = _register(), self._settings.kafka
        scope = Scope(
            from_us=from_us, to_us=to_us, made_us=to_us, made_by="", reason="", seed="0", sample_size=1,
            topic=kafka.events_topic, incidents_topic=kafka.incidents_topic,
            notifications_topic=kafka.notifications_topic,
        )  # fmt: skip
        reader, figures, late = AuditReader(self._questions, _LIMIT_S), dict[str, Mapping[str, int]](), list[str]()
        ends_s = time.monotonic() + _WHOLE_S
        for name in dict.fromkeys(one.query for one in register.controls if one.query):
            if time.monotonic() > ends_s:
                late.append(name)
                continue
            try:
                figures[name] = reader.answer(register.queries[name], scope).figures
            except Away as exc:
                if exc.code not in IT_ANSWERS:
                    raise
                late.append(name)
        results = {
            one.control_id: judge(one, figures.get(one.query) or None)
            for one in register.controls if one.query not in late
        }  # fmt: skip
        return JudgedControls(from_us=from_us, to_us=to_us, results=results, figures=figures, unanswered=tuple(late))


@cache
def _register() -> ControlRegister:
    return read_controls()


def _notary(said: Mapping[str, Any]) -> NotaryView:
    return NotaryView(
        round_us=_moment_us(said.get("last_round")), trees=_whole(said.get("trees")),
        refused=[(str(one.get("tree")), str(one.get("code"))) for one in _listed(said.get("refused"))],
        anchors=[
            AnchorView(
                name=str(one.get("name")), kind=str(one.get("kind")), anchored_us=_moment_us(one.get("anchored_at")),
                age_s=float(age) if isinstance(age := one.get("age_s"), int | float) else 0.0,
                waiting=_whole(one.get("waiting")), code=str(one.get("code") or ""),
            ) for one in _listed(said.get("anchors"))
        ],
    )  # fmt: skip


def _moment_us(text: object) -> int:
    try:
        return round(datetime.fromisoformat(str(text)).timestamp() * 1_000_000) if text else 0
    except (ValueError, OverflowError):
        return 0


def _listed(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
