"""How the pipeline itself is, as people read it: partitions, sources, dead letters, runs, deliveries.

Place in the flow: filled from `adapters/health_reading.py` and from what the processes say of themselves; the console's
page of pipeline health. Numbers, states and codes only. Times UTC microseconds, 0 where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.audit.reads import SOURCE_SYSTEM
from pipeline.health.problems import Problem

HOUR_US = 3_600_000_000
SILENT_AFTER_US = 24 * HOUR_US
"""A source that the directory names no bound for is pointed at after a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionView:
    """One partition of the log. `lag` -1: unknown. `sealed_offset` -1: nothing yet."""

    partition: int
    incarnation: str
    lag: int
    sealed_offset: int
    state: str
    last_sealed_us: int
    unscored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """One source and when it was heard last. `allowed_s` 0: the directory names no bound."""

    source_system: str
    source_instance: str
    events: int
    duplicates: int
    misrouted: int
    last_us: int
    allowed_s: int
    owner: str

    def is_silent_at(self, now_us: int) -> bool:
        """Whether it is silent for longer than its owner allows; accesstrail itself speaks only when it has to."""
        if self.source_system == SOURCE_SYSTEM and not self.allowed_s:
            return False
        bound_us = self.allowed_s * 1_000_000 or SILENT_AFTER_US
        return bool(self.last_us) and now_us - self.last_us > bound_us


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Records of one reason that are no events; a gap counts the records it stands for."""

    reason: str
    kind: str
    records: int
    last_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """The newest run of one scheduled detector. `failed`: how many runs of the period ended with an error."""

    detector: str
    result: str
    error: str
    stage: str
    window_end_us: int
    started_us: int
    duration_ms: int
    findings: int
    failed: int


@dataclass(frozen=True, slots=True)
class ChannelView:
    """What became of messages to one channel in the period."""

    channel: str
    delivered: int
    failed: int
    waiting: int
    last_code: str
    last_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessView:
    """One process that says how it is. `troubles`: codes, each with what it means in English and Chinese."""

    kind: str
    pid: int
    since: str
    ready: bool
    troubles: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """Everything on the page. `problems`: sentences of `accesstrail status`. Counts are of the last day.

    `unknown`: parts that nobody could be asked about, by the name of their field; what they say here means nothing.
    """

    ready: bool
    problems: Sequence[Problem]
    partitions: Sequence[PartitionView]
    processes: Sequence[ProcessView]
    sources: Sequence[SourceView]
    dead_letters: Sequence[DeadLetters]
    runs: Sequence[RunView]
    channels: Sequence[ChannelView]
    unscored: int
    events: int
    unknown: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorView:
    """One place outside the store that checkpoints are handed to. `age_s`: of the oldest that it lacks, 0: none.

    `anchored_us`: when it took one last, 0 never; `waiting`: how many it still lacks; `code`: "" or why it took none.
    """

    name: str
    kind: str
    anchored_us: int
    age_s: float
    waiting: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotaryView:
    """A notary that says how it is. `round_us`: when it last had signed every tree as far as it was, 0 never.

    `refused`: trees it does not sign, each with the code why.
    """

    round_us: int
    trees: int
    refused: Sequence[tuple[str, str]]
    anchors: Sequence[AnchorView]
