"""A deployment's quota of looks, over what its store and its state folder say was looked at.

Place in the flow: in front of every question about evidence, and between its rows and whoever asked: commands ask
through `admitting.py` and `announcing.py`, the console through its read trail.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from pipeline.adapters.clickhouse import connect
from pipeline.adapters.look_counts import TOLD_LOOKS, LookCounts, ToldLooks
from pipeline.adapters.reader_pool import RowQuestions
from pipeline.audit.quota import Quota, Used, day_begin_us
from pipeline.audit.reads import Read
from pipeline.config import Settings
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.key_file import KeyFile


class Counts(Protocol):
    """What `LookCounts` answers."""

    def used(self, account: str, from_us: int, now_us: int) -> Used:
        """What an account has looked at since a moment. Raises: Away; StoreRefused."""
        ...

    def note(self, account: str, read_id: str, at_us: int, rows: int) -> None:
        """A look that Kafka has."""
        ...


@dataclass(frozen=True, slots=True)
class LookQuota:
    """Who may still look. `zone`: by whose clocks a day begins."""

    quota: Quota
    zone: str
    counts: Counts

    def admit(self, account: str, at_us: int, rows: int = 0) -> None:
        """`rows`: what would be shown, 0 while nobody knows. Raises: Forbidden `look_quota`; Away; StoreRefused."""
        if not self.quota.is_unlimited:
            self.quota.check(self.counts.used(account, day_begin_us(at_us, self.zone), at_us), rows)

    def told(self, read: Read) -> None:
        """A look that Kafka has acknowledged."""
        if not self.quota.is_unlimited:
            self.counts.note(read.account, read.read_id, read.at_us, read.rows)


def quota_over(settings: Settings, questions: RowQuestions) -> LookQuota:
    """The quota of a deployment, counted over a connection or a pool. Raises: ConfigError: its keys cannot be read."""
    keys = KeyFile(settings.protection.token_keys_file)
    counts = LookCounts(questions, keys, DEFAULT_TENANT, ToldLooks(settings.state_dir / TOLD_LOOKS))
    limits = Quota(looks_per_day=settings.audit.looks_per_day, rows_per_day=settings.audit.rows_per_day)
    return LookQuota(limits, settings.detection.default_time_zone, counts)


@contextmanager
def open_quota(settings: Settings) -> Iterator[LookQuota]:
    """The same over a connection of its own, which is made at the first question."""
    with closing(connect(settings.clickhouse, "reader")) as client:
        yield quota_over(settings, client)
