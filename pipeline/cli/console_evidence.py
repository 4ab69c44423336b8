"""The evidence pages' desk: the reading layer over a pool of readers, the directory, and what processes say.

Place in the flow: built by `console.py`, shared by all threads. Everything is asked as the database role reader.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dashboards.console.evidence_ports import ExceptionDraft, Identities, PreviewView
from detectors.exceptions import DAY_US, STATE_KEYS, AlertException, checked
from detectors.policy import Policy
from detectors.rules import all_rules
from pipeline.adapters.access_reading import AccessReader
from pipeline.adapters.actor_reading import ActorReader
from pipeline.adapters.exceptions import MOST_ROWS, ExceptionHistory, Hits
from pipeline.adapters.health_reading import HealthReader
from pipeline.adapters.identities import DirectoryIdentities, VaultIdentities
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.adapters.reader_pool import Questions
from pipeline.adapters.subject_reading import SubjectReader
from pipeline.adapters.vault_reading import VaultReader
from pipeline.adapters.versions_reading import VersionsReader
from pipeline.audit.actor import ActorProfile
from pipeline.audit.health import HealthView
from pipeline.audit.identifiers import Named, TokenMaker
from pipeline.audit.incidents import AlertView, IncidentView
from pipeline.audit.rules import ENDED, ExceptionView, ModelView, RulesView, changes_of, state_of
from pipeline.audit.search import AccessPage, Cursor, Question
from pipeline.audit.subject import CrossCheck, SubjectHistory
from pipeline.cli.console_health import health_of
from pipeline.cli.console_sources import ListedSources
from pipeline.config import Settings
from pipeline.errors import UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.exception_preview import preview
from pipeline.privacy.key_file import Keys
from pipeline.stages.hold_back import floors_less
from pipeline.version_sets.exceptions import ended_exceptions, exceptions_of
from pipeline.version_sets.model_terms import ModelTerm, terms
from pipeline.version_sets.sets import Activation

_NIGHTS = 30
_MODELS = 20
_PREVIEW = "preview"


class ConsoleEvidence:
    """Role `dashboards.console.evidence_ports.EvidenceDesk`."""

    def __init__(
        self, settings: Settings, questions: Questions, keys: Keys, listed: ListedSources,
        accounts: Callable[[], Iterable[str]] = tuple, tenant: str = DEFAULT_TENANT, vault: VaultReader | None = None,
    ) -> None:  # fmt: skip
        self.tenant = tenant
        listed_names = DirectoryIdentities(settings.detection.directory, keys, tenant, accounts)
        self.identities: Identities = VaultIdentities(vault, listed_names) if vault is not None else listed_names
        self._settings, self._questions, self._keys, self._listed = settings, questions, keys, listed
        self._tokens = TokenMaker(keys, tenant)
        self._versions = VersionsReader(questions, settings.kafka.events_topic)

    def named(self, kind: str, text: str) -> Named:
        """The tokens of what a viewer typed."""
        return self._tokens.named(kind, text)

    def found(self, question: Question, limit: int, after: Cursor | None) -> AccessPage:
        """The accesses that answer, newest first."""
        return AccessReader(self._questions).found(question, limit, after)

    def subject(self, token: str, from_us: int, until_us: int) -> SubjectHistory:
        """Who touched a data subject."""
        return SubjectReader(self._questions).history(self.tenant, [token], from_us, until_us)

    def check(self, token: str, from_us: int, until_us: int) -> CrossCheck | None:
        """The same count, of the evidence itself."""
        return SubjectReader(self._questions).check(self.tenant, [token], from_us, until_us)

    def actor(self, token: str, until_us: int, zone: str) -> ActorProfile:
        """What an account does."""
        return ActorReader(self._questions).profile(self.tenant, token, until_us, zone)

    def incidents_of(self, token: str) -> Sequence[IncidentView]:
        """The incidents of an account."""
        return IncidentReader(self._questions).of_actor(self.tenant, token)

    def alerts_of(self, token: str, since_us: int) -> Sequence[AlertView]:
        """The alerts about an account."""
        return IncidentReader(self._questions).alerts_of_actor(self.tenant, token, since_us)

    def health(self, now_us: int) -> HealthView:
        """How the pipeline is."""
        reader = HealthReader(self._questions, self.tenant, self._settings.kafka.events_topic)
        return health_of(self._settings, reader, self._listed, now_us)

    # -- rules

    def rules(self, now_us: int) -> RulesView:
        """What events are judged by."""
        history, announced = self._versions.history()
        newest = history[-1] if history else None
        counts = self._versions.alerts_by_set()
        parts: Mapping[str, str] = newest.parts if newest else {}
        return RulesView(
            models=[self._model(term, counts) for term in terms(history, now_us)[:_MODELS]],
            changes=changes_of(history, announced, len(history)), exceptions=self._exceptions(history, now_us),
            nights=self._versions.nights(_NIGHTS), shadow_id=parts.get("shadow", ""),
            model_fault=parts.get("model_fault", ""),
        )  # fmt: skip

    def _model(self, term: ModelTerm, counts: Mapping[str, int]) -> ModelView:
        latest = term.latest
        said = self._versions.manifest(latest.parts["model"])
        about: Mapping[str, Any] = said.get("about") or {}
        return ModelView(
            model_id=latest.parts["model"], kind=term.kind, since_us=term.since_us, until_us=term.until_us or 0,
            threshold=latest.threshold, rule_threshold=_whole(said.get("rule_threshold")),
            signer=latest.parts.get("model_signer", ""), rows=_whole(about.get("rows")),
            trained_from_us=_whole(about.get("first_event_us")), trained_to_us=_whole(about.get("last_event_us")),
            alerts=sum(counts.get(one.hex(), 0) for one in term.versions_ids), days=term.days,
            cuts=said.get("rule_cuts") or {},
        )  # fmt: skip

    def _exceptions(self, history: Sequence[Activation], now_us: int) -> list[ExceptionView]:
        newest = history[-1] if history else None
        present = exceptions_of(self._versions, newest)
        ended = ended_exceptions(self._versions, history)
        known = [*present, *(one.exception for one in ended)]
        hits: Mapping[str, Hits] = {}
        if known:
            hits = ExceptionHistory(self._questions).hits(min(one.created_us for one in known))

        def seen(one: AlertException, state: str, **more: Any) -> ExceptionView:  # noqa: ANN401  fields of the view
            held = hits.get(one.exception_id, Hits(0, 0))
            last_us = held.last_us if held.count else 0
            return ExceptionView(exception=one, state=state, hits=held.count, last_us=last_us, **more)

        return [
            *(seen(one, state_of(one, newest, now_us)) for one in present),
            *(
                seen(one.exception, ENDED, ended_us=one.by.activated_at_us, ended_because=one.by.reason)
                for one in ended
            ),
        ]

    def preview(self, draft: ExceptionDraft) -> PreviewView:
        """What an exception would have held back. Raises: UsageError: it is none, or no model is in force."""
        one = self._checked(draft)
        history, _ = self._versions.history()
        newest = history[-1] if history else None
        if newest is None or "model" not in newest.parts:
            raise UsageError("no model is in force, so nothing can alert", code="no_model")
        policy = Policy.from_content(self._versions.load_artefact(newest.parts["policy"]))
        cuts = self._versions.manifest(newest.parts["model"]).get("rule_cuts") or {}
        scheduled = [name for name in one.detectors if name in STATE_KEYS]
        reader = ExceptionHistory(self._questions)
        since_us = reader.now_us() - draft.days * DAY_US
        least = policy.least_risk
        events = reader.events(one.scope, since_us, least) if len(scheduled) < len(one.detectors) else ()
        alerted = reader.alerted(one.scope, since_us, scheduled) if scheduled else set()
        alerts = reader.alerts(since_us)
        found = preview(one, events, alerts, alerted, policy, floors_less(all_rules(), cuts))
        return PreviewView(
            days=draft.days, reaching=found.reaching, held_back=found.held_back,
            alerts=dict(sorted(found.alerts.items())),
            worst=[
                {"alert_id": alert.alert_id, "time_us": alert.time_us, "detector": alert.detector, "risk": alert.risk,
                 "severity": alert.severity} for alert in found.worst
            ],
            is_cut=max(len(events), len(alerts)) >= MOST_ROWS,
        )  # fmt: skip

    def _checked(self, draft: ExceptionDraft) -> AlertException:
        """As an exception of one day, of nobody: enough to look ahead."""
        now_us = time.time_ns() // 1000
        keyring = self._keys.current.canonical
        nobody = keyring.token(self.tenant, "actor", _PREVIEW).hex()
        one = AlertException(
            scope=dict(draft.scope), detectors=draft.detectors, kinds=draft.kinds,
            up_to=round(draft.up_to * 100) or None, owner=nobody, reason=_PREVIEW,
            key_version=keyring.version_id, created_us=now_us, valid_from_us=now_us,
            valid_until_us=now_us + DAY_US,
        )  # fmt: skip
        return checked(one)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
