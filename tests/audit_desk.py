"""What pages of an audit ask, in memory: a report, a bundle, runs of verification, notaries, the shipped register."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dashboards.console.audit_ports import ProvenBundle
from pipeline.audit.controls import GAP, ControlRegister, JudgedControls, judge
from pipeline.audit.health import AnchorView, NotaryView
from pipeline.audit.register_reading import read_controls
from pipeline.audit.subject_report import SubjectAccess, SubjectReport
from pipeline.audit.verification import (
    DIFFERS,
    INTACT,
    UNJUDGED,
    FoundDifference,
    VerificationRun,
    Verifications,
    VerifiedTree,
)
from pipeline.errors import Away, UsageError

ACTOR_TOKEN = "5f" * 16
HOUR_US = 3_600_000_000
BODY = b"PK\x05\x06" + b"\x00" * 18
Asked = tuple[tuple[str, ...], int, int]


def intact(began_us: int, by: str = "lin.meng") -> VerificationRun:
    """A run that found nothing."""
    tree = VerifiedTree(
        name="bank/access.events/life/0", leaves=120, events=118, dead_letters=2, gaps=0, unscored=1, pruned=0,
        covered=120,
    )  # fmt: skip
    return VerificationRun(
        began_us=began_us, ended_us=began_us + 90_000_000, verdict=INTACT, by=by, keys=["accesstrail+c74f20a3"],
        kept=2, counts={}, tree_count=1, trees=[tree], derived=["subject_access", "alerts"],
        totals={"leaves": 120, "covered": 120, "events": 118, "dead_letters": 2, "unscored": 1},
    )  # fmt: skip


def differing(began_us: int, text: str = "the rows 30-40 do not give the root that was sealed") -> VerificationRun:
    """A run that found a change and a gap; `text` stands wherever the store could speak."""
    differences = [
        FoundDifference(check=7, code="entry_root", tree=text, offset=30, about=text),
        FoundDifference(check=13, code="gap", tree="", offset=-1, about=text),
        FoundDifference(check=99, code=text, tree="", offset=-1, about=text),
    ]
    return replace(
        intact(began_us), verdict=DIFFERS, counts={"entry_root": 150, "gap": 1}, differences=differences, notes=[text],
        by=text, keys=[text], derived=[text], trees=[replace(intact(0).trees[0], name=text)],
    )  # fmt: skip


def failed(began_us: int) -> VerificationRun:
    """A run that could not be judged."""
    return VerificationRun(began_us=began_us, ended_us=began_us + 1, verdict=UNJUDGED, code="store_away", counts={})


@dataclass
class AuditWorld:
    """Role `AuditDesk`. `differs`: evidence and table by subject; `refused`: why no bundle is made; `late`: a query."""

    now_us: int
    accesses: list[SubjectAccess] = field(default_factory=list)
    runs: list[VerificationRun] = field(default_factory=list)
    unreadable: int = 0
    notaries_found: list[NotaryView] = field(default_factory=list)
    reported: list[Asked] = field(default_factory=list)
    bundled: list[Asked] = field(default_factory=list)
    judged_periods: list[tuple[int, int]] = field(default_factory=list)
    differs: bool = False
    refused: str = ""
    late: str = ""
    is_away: bool = False

    def __post_init__(self) -> None:
        self.accesses = self.accesses or [made(n, self.now_us) for n in range(1, 4)]

    def last_judged(self) -> VerificationRun | None:
        return self.verifications().judged

    def verifications(self) -> Verifications:
        return Verifications(self.runs, self.unreadable)

    def notaries(self) -> Sequence[NotaryView]:
        return self.notaries_found

    def subject_report(
        self, tokens: Sequence[str], from_us: int, until_us: int, case_ref: str, *, with_actors: bool
    ) -> SubjectReport | None:
        self._reached()
        self.reported.append((tuple(tokens), from_us, until_us))
        if self.differs:
            return None
        return SubjectReport(
            from_us=from_us, until_us=until_us, made_us=self.now_us, case_ref=case_ref, unlisted=2,
            accesses=[replace(one, actor=ACTOR_TOKEN if with_actors else "") for one in self.accesses],
            sources=("crm",), retention_days={"standard": 396}, provision_days=1127,
        )  # fmt: skip

    def bundle(self, tokens: Sequence[str], from_us: int, until_us: int, made_us: int) -> ProvenBundle:
        self._reached()
        self.bundled.append((tuple(tokens), from_us, until_us))
        if self.refused:
            raise UsageError("refused", code=self.refused)
        return ProvenBundle(
            body=BODY, name="accesstrail-evidence-20261120T080000Z.zip", rows=7, trees=2, fingerprint="ab" * 32
        )

    def controls(self) -> ControlRegister:
        return read_controls()

    def judged(self, from_us: int, to_us: int) -> JudgedControls:
        self._reached()
        self.judged_periods.append((from_us, to_us))
        register = read_controls()
        figures = {
            name: dict.fromkeys(query.columns, 0) for name, query in register.queries.items() if name != self.late
        }
        results = {
            one.control_id: judge(one, figures.get(one.query)) if one.query else one.kind or GAP
            for one in register.controls if one.query != self.late
        }  # fmt: skip
        return JudgedControls(
            from_us=from_us, to_us=to_us, results=results, figures=figures,
            unanswered=(self.late,) if self.late else (),
        )  # fmt: skip

    def _reached(self) -> None:
        if self.is_away:
            raise Away("ClickHouse does not answer", code="store_away")


def made(number: int, now_us: int, text: str = "support") -> SubjectAccess:
    """One access as its subject may see it."""
    return SubjectAccess(
        event_us=now_us - number * HOUR_US, action="read", outcome="success", purpose=text, legal_basis="contract",
        department=text, partner="", channel="ui", categories=("contact", text), recipient="internal", country="",
        records=number, others=0,
    )  # fmt: skip


def notary(now_us: int, text: str = "file") -> NotaryView:
    """A notary with one anchor that has all and one that lacks something."""
    return NotaryView(
        round_us=now_us - 1_000_000, trees=3, refused=[(text, "tree_changed")],
        anchors=[
            AnchorView(name=text, kind="file", anchored_us=now_us - 2_000_000, age_s=0.0, waiting=0, code=""),
            AnchorView(name="witness", kind="witness", anchored_us=0, age_s=7200.0, waiting=2, code="anchor_disk"),
        ],
    )  # fmt: skip
