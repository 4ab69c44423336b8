"""Evidence for tests of pages: accesses in memory that answer as the store would, real tokens, a real directory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from dashboards.console.evidence_ports import ExceptionDraft, PreviewView
from detectors.exceptions import AlertException
from pipeline.adapters.identities import DirectoryIdentities
from pipeline.audit.actor import ActorDay, ActorFacts, ActorProfile, Comparison, Share
from pipeline.audit.health import (
    ChannelView,
    DeadLetters,
    HealthView,
    PartitionView,
    ProcessView,
    RunView,
    SourceView,
)
from pipeline.audit.identifiers import Named, TokenMaker
from pipeline.audit.incidents import AlertView, IncidentView
from pipeline.audit.rules import ENDED, IN_FORCE, ChangeView, ExceptionView, ModelView, RulesView
from pipeline.audit.search import AccessPage, AccessRow, Cursor, Question, checked, page_of
from pipeline.audit.subject import CrossCheck, SubjectHistory, Toucher
from pipeline.audit.text_search import holds, words_of
from pipeline.errors import Away, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.health.problems import Problem, problem_of
from pipeline.privacy.keys import Key, Keyring

KEYRING = Keyring((Key(1, b"k" * 32),))
DAY_US = 86_400_000_000
SUBJECT, LISTED_SUBJECT, ACTOR = "c-18823", "c-vip-7", "zhang.wei"


def token(kind: str, identifier: str) -> str:
    """The token of an identifier, hex."""
    return KEYRING.token(DEFAULT_TENANT, kind, identifier).hex()


def access(number: int, at_us: int, **given: Any) -> AccessRow:
    """One access; everything that is not given is ordinary."""
    plain: dict[str, Any] = {
        "event_time_us": at_us, "received_us": at_us + 1000, "topic": "access.events", "incarnation": "life",
        "partition": number % 8, "offset": number, "event_id": f"00000000-0000-4000-8000-{number:012d}",
        "tenant_id": DEFAULT_TENANT, "actor_token": token("actor", ACTOR), "actor_type": "employee",
        "actor_org": "bank", "actor_dept": "retail", "actor_role": "advisor", "on_behalf_of_token": "",
        "action": "read", "outcome": "success", "channel": "ui", "app_id": "crm", "source_system": "crm",
        "endpoint": "/customers/{id}", "resource_type": "customer_profile", "resource_token": token("subject", SUBJECT),
        "resource_id": "", "purpose": "support", "case_token": "", "explained": "explained", "verdict": "",
        "justification": "", "denial_reason": "", "src_country": "CN", "src_city": "Shanghai", "network_kind": "office",
        "records_returned": 1, "subject_count": 1, "subject_tokens": (token("subject", SUBJECT),),
        "data_categories": ("contact",), "fields_unmasked": (), "risk": 1234, "score_status": "scored", "reasons": (),
        "is_duplicate": False,
    }  # fmt: skip
    return AccessRow(**plain | given)


TEXT_FIELDS = tuple(one.name for one in fields(AccessRow) if one.type == "str" and not one.name.endswith("_token"))
WORD_FIELDS = frozenset(
    {"action", "outcome", "explained", "verdict", "network_kind", "score_status", "actor_type", "channel"}
)
FREE_FIELDS = tuple(name for name in TEXT_FIELDS if name not in WORD_FIELDS)
"""Fields whose text a source chooses."""


def hostile(number: int, at_us: int, text: str) -> AccessRow:
    """An access with the same text in every field that a source fills."""
    lists = dict.fromkeys(("data_categories", "fields_unmasked", "reasons"), (text, text))
    return access(number, at_us, **dict.fromkeys(FREE_FIELDS, text), **lists)


def _answers(question: Question, row: AccessRow) -> bool:
    return (
        question.from_us <= row.event_time_us < question.until_us
        and (not question.actors or row.actor_token in question.actors)
        and (not question.subjects or bool(set(question.subjects) & set(row.subject_tokens)))
        and (not question.resources or row.resource_token in question.resources)
        and (not question.cases or row.case_token in question.cases)
        and question.purpose in ("", row.purpose)
        and question.resource_type in ("", row.resource_type)
        and (not question.actions or row.action in question.actions)
        and (not question.outcomes or row.outcome in question.outcomes)
        and (not question.explained or row.said in question.explained)
        and holds(words_of(question.text), row.justification, row.denial_reason)
        and row.risk >= question.least_risk
    )


@dataclass
class EvidenceWorld:
    """Role `EvidenceDesk`. `asked`: every question that came; `missing`: so many rows the index lacks."""

    folder: Path
    now_us: int
    rows: list[AccessRow] = field(default_factory=list)
    incidents: list[IncidentView] = field(default_factory=list)
    alerts: list[AlertView] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)
    previewed: list[ExceptionDraft] = field(default_factory=list)
    text: str = "nightly reconciliation"
    missing: int = 0
    is_late: bool = False
    is_away: bool = False
    away_code: str = "store_away"
    tenant: str = DEFAULT_TENANT

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "actors.csv").write_text(
            f"actor_id,actor_type,own_subject_ids\n{ACTOR},employee,c-own-1;c-own-2\n", encoding="utf-8"
        )
        (self.folder / "subjects.csv").write_text(f"subject_id,flags\n{LISTED_SUBJECT},vip\n", encoding="utf-8")
        self.identities = DirectoryIdentities(self.folder, KEYRING, self.tenant)
        self.rows = self.rows or [access(n, self.now_us - n * 3_600_000_000) for n in range(1, 121)]

    def named(self, kind: str, text: str) -> Named:
        return TokenMaker(KEYRING, self.tenant).named(kind, text)

    def found(self, question: Question, limit: int, after: Cursor | None) -> AccessPage:
        self._reached()
        self.asked.append(checked(question))
        rows = sorted((row for row in self.rows if _answers(question, row)), key=lambda row: row.cursor, reverse=True)
        return page_of([row for row in rows if after is None or row.cursor < after][: limit + 1], limit)

    def subject(self, token: str, from_us: int, until_us: int) -> SubjectHistory:
        question = Question(tenant=self.tenant, from_us=from_us, until_us=until_us, subjects=(token,))
        rows = self.found(question, 10_000, None).rows
        touchers = [self._toucher(actor, rows) for actor in Counter(row.actor_token for row in rows)]
        return SubjectHistory(actors=len(touchers), accesses=len(rows) - self.missing, repeated=0, touchers=touchers)

    def check(self, token: str, from_us: int, until_us: int) -> CrossCheck | None:
        question = Question(tenant=self.tenant, from_us=from_us, until_us=until_us, subjects=(token,))
        rows = self.found(question, 10_000, None).rows
        listed = len(rows) - self.missing
        return (
            None
            if self.is_late
            else CrossCheck(in_evidence=len(rows), in_table_before=listed, in_table_after=listed, unlisted=2)
        )

    def _toucher(self, actor: str, rows: Sequence[AccessRow]) -> Toucher:
        mine = [row for row in rows if row.actor_token == actor]
        said = Counter(row.explained for row in mine)
        return Toucher(
            actor_token=actor, department=mine[0].actor_dept, accesses=len(mine), first_us=mine[-1].event_time_us,
            last_us=mine[0].event_time_us, explained=said["explained"], claimed=said["claimed"], unexplained=0,
            open=said["not_yet_explained"], denied=0, highest_risk=max(row.risk for row in mine),
            actions=sorted({row.action for row in mine}), purposes=sorted({row.purpose for row in mine}),
        )  # fmt: skip

    def actor(self, token: str, until_us: int, zone: str) -> ActorProfile:
        self._reached()
        if all(row.actor_token != token for row in self.rows):
            return ActorProfile(facts=None, days=(), hours=[0] * 24)
        shares = [Share(self.rows[0].purpose, 90, 80, 1, 3), Share("–", 20, 10, 0, 0), Share("", 10, 9, 0, 0)]
        today = until_us // DAY_US
        return ActorProfile(
            facts=ActorFacts(
                actor_type="employee", org=self.rows[0].actor_org, department=self.rows[0].actor_dept,
                role=self.rows[0].actor_role, status="active", first_us=until_us - 30 * DAY_US, last_us=until_us - 1,
            ),
            days=[ActorDay(today - n, 30 + n * 7 % 50, n % 3, 20, 40, 30, n % 2, 4500) for n in range(28, -1, -1)],
            hours=[0] * 8 + [3, 9, 14, 12, 4, 11, 15, 13, 9, 5] + [0] * 6, resource_types=shares, purposes=shares,
            actions=[Share("read", 100, 90, 1, 3), Share("export", 2, 2, 0, 0)], countries=[Share("CN", 102, 92, 1, 3)],
            networks=[Share("office", 90, 80, 1, 2), Share("vpn", 12, 12, 0, 1)],
            comparisons=[Comparison("events", 34.0, 210.0), Comparison("denied", 0.0, 2.0)], usual_days=20,
        )  # fmt: skip

    def incidents_of(self, token: str) -> Sequence[IncidentView]:
        return self.incidents

    def alerts_of(self, token: str, since_us: int) -> Sequence[AlertView]:
        return self.alerts

    def rules(self, now_us: int) -> RulesView:
        self._reached()
        exception = AlertException(
            scope={"actor": token("actor", "svc.reconcile"), "source_system": self.text}, detectors=("bulk_export",),
            owner=token("actor", "wu.ling"), reason=self.text, created_us=now_us - DAY_US,
            valid_from_us=now_us - DAY_US,
            valid_until_us=now_us + DAY_US, exception_id="3fa94c01d2e7",
        )  # fmt: skip
        return RulesView(
            models=[
                ModelView(
                    model_id="ab" * 32, kind="promote", since_us=now_us - 9 * DAY_US, until_us=0, threshold=7337,
                    rule_threshold=8000, signer="security-team", rows=131_728, trained_from_us=now_us - 60 * DAY_US,
                    trained_to_us=now_us - 10 * DAY_US, alerts=61, days=9.0,
                ),
                ModelView(
                    model_id="cd" * 32, kind="first", since_us=now_us - 40 * DAY_US, until_us=now_us - 9 * DAY_US,
                    threshold=7000, rule_threshold=8000, signer="", rows=90_000, trained_from_us=0, trained_to_us=0,
                    alerts=300, days=31.0,
                ),
            ],
            changes=[
                ChangeView(
                    number=2, at_us=now_us - DAY_US, kind="exception", reason=self.text, by_token=token("actor", ACTOR),
                    threshold=7337, versions_id="ef" * 32, parts_changed=["exceptions"], announced=True,
                ),
                ChangeView(
                    number=1, at_us=now_us - 9 * DAY_US, kind="first", reason="", by_token="", threshold=65_535,
                    versions_id="01" * 32, parts_changed=["model", "policy"], announced=False,
                ),
            ],
            exceptions=[
                ExceptionView(exception=exception, state=IN_FORCE, hits=7, last_us=now_us - 3_600_000_000),
                ExceptionView(
                    exception=replace(exception, exception_id="000000000001", up_to=12_000), state=ENDED, hits=0,
                    last_us=0, ended_us=now_us - 1, ended_because=self.text,
                ),
            ],
            nights=[
                {
                    "day": "2026-11-17", "model_id": "ab" * 32,
                    "budget": {"per_day": 8.0, "fired_a_day": 7.5, "ratio": 0.94, "days": 14, "threshold": 73.37,
                               "threshold_before": 70.0, "why": "moved", "fired": {}},
                    "drift": {"rows": 900, "reference_rows": 3600, "features": [["records", 0.31]], "risk": [],
                              "shifted": ["records"]},
                    "shadow": {"model_id": "cd" * 32, "alerts": 9, "shadow_alerts": 12, "overlap": 0.6},
                },
                {
                    "day": "2026-11-16", "model_id": "ab" * 32,
                    "budget": {"per_day": 8.0, "fired_a_day": None, "ratio": None, "days": 0, "threshold": 70.0,
                               "threshold_before": 70.0, "why": "begun", "fired": {}},
                    "drift": {"rows": 0, "reference_rows": 0, "features": [], "risk": [], "shifted": []},
                    "shadow": None,
                },
            ],
        )  # fmt: skip

    def preview(self, draft: ExceptionDraft) -> PreviewView:
        self._reached()
        if draft.detectors == ("isolation_forest",) and not draft.up_to:
            raise UsageError("an exception of isolation_forest needs a level up to which it holds")
        self.previewed.append(draft)
        worst = [{"alert_id": "9" * 32, "time_us": self.now_us, "detector": "bulk_export", "risk": 9000,
                  "severity": "high"}]  # fmt: skip
        return PreviewView(
            days=draft.days, reaching=20, held_back=12, alerts={"bulk_export": 4}, worst=worst, is_cut=False
        )

    def health(self, now_us: int) -> HealthView:
        problems: Mapping[bool, list[Problem]] = {
            False: [],
            True: [problem_of(Away("ClickHouse does not answer", code="store_away"))],
        }
        return HealthView(
            ready=not self.is_away, problems=problems[self.is_away],
            partitions=[
                PartitionView(partition=0, incarnation="life", lag=0, sealed_offset=4711, state="running",
                              last_sealed_us=now_us - 1_000_000, unscored=0),
                PartitionView(partition=1, incarnation="life", lag=-1, sealed_offset=-1, state="", last_sealed_us=0,
                              unscored=0),
            ],
            processes=[
                ProcessView(kind="worker", pid=100, since="2026-11-18T08:00:00.000+00:00", ready=True, troubles=[]),
                ProcessView(kind="responder", pid=101, since="2026-11-18T08:00:00.000+00:00", ready=False,
                            troubles=[("kafka_away", "Kafka does not answer.", "Kafka 无响应。")]),
            ],
            sources=[
                SourceView(source_system=self.text, source_instance="eu-1", events=0, duplicates=0, misrouted=0,
                           last_us=0, allowed_s=3600, owner=self.text),
                SourceView(source_system="hr-suite", source_instance="1", events=90, duplicates=1, misrouted=0,
                           last_us=now_us - 7_200_000_000, allowed_s=3600, owner="hr"),
                SourceView(source_system="crm", source_instance="1", events=9000, duplicates=0, misrouted=2,
                           last_us=now_us - 1_000_000, allowed_s=0, owner=""),
            ],
            dead_letters=[DeadLetters("bad_json", "dead_letter", 3, now_us), DeadLetters("deleted", "gap", 40, now_us)],
            runs=[
                RunView(detector="slow_drip", result="done", error="", stage="final", window_end_us=now_us,
                        started_us=now_us, duration_ms=310, findings=1, failed=0),
                RunView(detector="silent_source", result="failed", error="store_away", stage="provisional",
                        window_end_us=now_us, started_us=now_us, duration_ms=9, findings=0, failed=2),
            ],
            channels=[ChannelView("chat", 12, 1, 2, "timeout", now_us)], unscored=3, events=9090,
        )  # fmt: skip

    def _reached(self) -> None:
        if self.is_away:
            raise Away("ClickHouse does not answer", code=self.away_code)
