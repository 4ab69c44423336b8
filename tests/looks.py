"""Where looks are told, and a quota of them over what a test says was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from pipeline.audit.quota import Quota, Used
from pipeline.audit.reads import Read
from pipeline.cli import admitting, announcing
from pipeline.cli.look_quota import LookQuota
from pipeline.errors import Away


class FakeKafka:
    """Acknowledges, unless it is away; whether anything had been printed by then cannot be undone, so it is asked.

    `seen_before`: called with each look, before it is acknowledged.
    """

    def __init__(self) -> None:
        self.told: list[Read] = []
        self.is_away = self.is_closed = False
        self.seen_before: Callable[[], object] = lambda: None

    def tell(self, read: Read) -> None:
        self.seen_before()
        if self.is_away:
            raise Away("Kafka does not answer for topic access.events", code="kafka_away")
        self.told.append(read)

    def close(self) -> None:
        self.is_closed = True


@dataclass(slots=True)
class Looked:
    """Role `look_quota.Counts`, and what opens a quota over it. `used`: before the first look that it notes."""

    used_before: Used = field(default_factory=Used)
    limits: Quota = field(default_factory=lambda: Quota(looks_per_day=0, rows_per_day=0))
    noted: list[tuple[str, int]] = field(default_factory=list)

    def used(self, account: str, from_us: int, now_us: int) -> Used:
        rows = [rows for name, rows in self.noted if name == account]
        return Used(self.used_before.looks + len(rows), self.used_before.rows + sum(rows))

    def note(self, account: str, read_id: str, at_us: int, rows: int) -> None:
        self.noted.append((account, rows))

    @property
    def quota(self) -> LookQuota:
        return LookQuota(self.limits, "Asia/Shanghai", self)

    @contextmanager
    def open(self, *_: object) -> Iterator[LookQuota]:
        yield self.quota


def told_to(patch: pytest.MonkeyPatch, kafka: FakeKafka, looked: Looked | None = None) -> None:
    """Has every command tell its looks to this broker, within this quota."""
    patch.setattr(announcing, "open_read_announcer", lambda *_: kafka)
    for module in (admitting, announcing):
        patch.setattr(module, "open_quota", (looked or Looked()).open)
