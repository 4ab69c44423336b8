"""How the pipeline is, as far as the store knows, as the database role reader: sources, dead letters, runs, deliveries.

Place in the flow: beside it; used by the console's page of pipeline health. Every value is a typed parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.adapters.access_conditions import moment
from pipeline.adapters.reader_pool import Questions
from pipeline.audit.health import ChannelView, DeadLetters, RunView, SourceView
from pipeline.directory.snapshot import SourceRow
from pipeline.notifications.outcome import DELIVERED, REFUSED, SKIPPED

SOURCE_DAYS = 35
_MOST = 500
_DAY_US = 86_400_000_000
_SOURCES = (
    "SELECT source_system, source_instance, sum(events) AS events, sum(duplicates), sum(misrouted), "
    "toUnixTimestamp64Micro(max(last_received_at)) AS last_us FROM accesstrail.sources "
    f"WHERE day >= toDate({moment('since')}) AND tenant_id = {{tenant:String}} "
    "GROUP BY source_system, source_instance ORDER BY last_us, source_system, source_instance LIMIT {most:UInt64}"
)
_DEAD = (
    "SELECT reason, toString(leaf_kind), sum(last_offset - offset + 1) AS records, "
    "toUnixTimestamp64Micro(max(received_at)) FROM accesstrail.dead_letters "
    f"WHERE received_at >= {moment('since')} GROUP BY reason, leaf_kind ORDER BY records DESC, reason "
    "LIMIT {most:UInt64}"
)
_RUNS = (
    "SELECT detector, argMax(result, stored_at), argMax(error, stored_at), argMax(stage, stored_at), "
    "toUnixTimestamp64Micro(argMax(window_end, stored_at)), toUnixTimestamp64Micro(argMax(started_at, stored_at)), "
    "argMax(duration_ms, stored_at), argMax(findings, stored_at), countIf(result = 'failed') "
    "FROM accesstrail.scheduled_runs WHERE topic = {topic:String} AND result != 'begun' "
    f"AND started_at >= {moment('since')} GROUP BY detector ORDER BY detector"
)
_CHANNELS = (
    "SELECT channel, uniqExactIf(notification_id, outcome = {delivered:String}), "
    "uniqExactIf(notification_id, outcome = {refused:String}), "
    "uniqExact(notification_id) - uniqExactIf(notification_id, outcome IN {settled:Array(String)}), "
    "argMaxIf(code, at, code != ''), toUnixTimestamp64Micro(max(at)) FROM accesstrail.deliveries "
    f"WHERE at >= {moment('since')} GROUP BY channel ORDER BY channel"
)
_EVENTS = (
    "SELECT sum(events), sum(unscored) FROM accesstrail.risk_resource_1d "
    f"WHERE day >= toDate({moment('since')}) AND tenant_id = {{tenant:String}}"
)


class HealthReader:
    """Questions about the pipeline on one connection; every method may raise Away or StoreRefused."""

    def __init__(self, reader: Questions, tenant: str, topic: str) -> None:
        self._reader, self._tenant, self._topic = reader, tenant, topic

    def sources(self, now_us: int, listed: Sequence[SourceRow]) -> list[SourceView]:
        """Every source heard in the last 35 days, the longest silent first; then those listed and never heard."""
        given = {"tenant": self._tenant, "since": now_us - SOURCE_DAYS * _DAY_US, "most": _MOST}
        bounds = {(one.source_system, one.source_instance): one for one in listed}
        heard = [_source(row, bounds) for row in self._reader.query(_SOURCES, given)]
        systems = {one.source_system for one in heard}
        instances = {(one.source_system, one.source_instance) for one in heard}
        unheard = [
            _source((one.source_system, one.source_instance, 0, 0, 0, 0), bounds) for one in listed
            if ((one.source_system, one.source_instance) not in instances if one.source_instance
                else one.source_system not in systems)
        ]  # fmt: skip
        return unheard + heard

    def dead_letters(self, since_us: int) -> list[DeadLetters]:
        """What was received since then and is no event, by reason."""
        rows = self._reader.query(_DEAD, {"since": since_us, "most": _MOST})
        return [DeadLetters(reason, kind, int(records), int(last_us)) for reason, kind, records, last_us in rows]

    def runs(self, since_us: int) -> list[RunView]:
        """The newest run of every scheduled detector that ran since then."""
        names = (
            "detector", "result", "error", "stage", "window_end_us", "started_us", "duration_ms", "findings", "failed",
        )  # fmt: skip
        rows = self._reader.query(_RUNS, {"since": since_us, "topic": self._topic})
        return [RunView(**dict(zip(names, row, strict=True))) for row in rows]

    def channels(self, since_us: int) -> list[ChannelView]:
        """What became of messages since then."""
        settled = [DELIVERED, REFUSED, SKIPPED]
        given = {"since": since_us, "delivered": DELIVERED, "refused": REFUSED, "settled": settled}
        return [
            ChannelView(channel, int(delivered), int(failed), int(waiting), code, int(last))
            for channel, delivered, failed, waiting, code, last in self._reader.query(_CHANNELS, given)
        ]

    def events(self, since_us: int) -> tuple[int, int]:
        """Events of the days since then, and how many of them got no score although one was due."""
        events, unscored = self._reader.query(_EVENTS, {"since": since_us, "tenant": self._tenant})[0]
        return int(events), int(unscored)


def _source(row: Sequence[object], bounds: Mapping[tuple[str, str], SourceRow]) -> SourceView:
    system, instance, events, duplicates, misrouted, last_us = row
    bound = bounds.get((str(system), str(instance))) or bounds.get((str(system), ""))
    return SourceView(
        source_system=str(system), source_instance=str(instance), events=_whole(events), duplicates=_whole(duplicates),
        misrouted=_whole(misrouted), last_us=_whole(last_us), allowed_s=bound.max_silence_s if bound else 0,
        owner=bound.owner if bound else "",
    )  # fmt: skip


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int) else 0
