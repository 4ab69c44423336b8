"""Faults built into the code on purpose, to prove that the suite finds such faults. Applied in a forked worker only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.adapters.store import RAW, ClickHouseStore, _entry_row
from pipeline.batch import FormedBatch, PartitionMemory
from pipeline.columns import LEDGER_COLUMNS
from pipeline.flow import commit_batch
from pipeline.partition import worker as partition
from pipeline.partition.recovery import ResumePlan, plan
from pipeline.ports import EvidenceStore, LedgerEntry


def _replace(owner: object, name: str, broken: Callable[..., Any]) -> None:
    setattr(owner, name, broken)


def _seal_first() -> None:
    """The ledger entry before the rows it seals."""

    def sealed_first(
        batch: FormedBatch, store: EvidenceStore, publisher: Any, writer: str, after_step: Any, vault: Any
    ) -> None:
        store.seal(batch.entry, writer)
        commit_batch(batch, store, publisher, writer, after_step, vault)

    _replace(partition, "commit_batch", sealed_first)


def _publish_last() -> None:
    """Alerts handed on after the commit point."""

    class Later:
        def publish(self, *arguments: Any) -> None:
            """Not now."""

    def published_last(
        batch: FormedBatch, store: EvidenceStore, publisher: Any, writer: str, after_step: Any, vault: Any
    ) -> None:
        commit_batch(batch, store, Later(), writer, after_step, vault)
        if batch.alerts:
            publisher.publish(batch.position, batch.alerts, batch.events)

    _replace(partition, "commit_batch", published_last)


def _token_without_content() -> None:
    """A token that names the range only: another content is swallowed as a repetition."""

    def token(self: FormedBatch) -> str:
        return f"{self.position.topic}:{self.position.incarnation}:{self.position.partition}:{self.entry.first_offset}"

    _replace(FormedBatch, "token", token)


def _no_read_back() -> None:
    """The writer takes the store's "done" for its own success: a fenced writer goes on."""

    def seal(self: ClickHouseStore, entry: LedgerEntry, writer: str) -> None:
        token = f"ledger:{entry.topic}:{entry.incarnation}:{entry.partition}:{entry.tree_size_before}"
        self._client.insert(f"{RAW}.ledger", _entry_row(entry, writer), LEDGER_COLUMNS, token=token)

    _replace(ClickHouseStore, "seal", seal)


def _no_rollback() -> None:
    """What a failed batch taught stays."""

    def rollback(self: PartitionMemory) -> None:
        self.profiles.commit()
        self.window.commit()

    _replace(PartitionMemory, "rollback", rollback)


def _no_second_reading() -> None:
    """Profiles of the snapshot only, without what was sealed after it."""

    def shortened(*arguments: Any) -> ResumePlan:
        found = plan(*arguments)
        sealed = [one.sealed for one in found.ranges if one.sealed is not None]
        if sealed:
            found.base = sealed[-1]
            found.ranges = [one for one in found.ranges if one.sealed is None]
        return found

    _replace(partition, "plan", shortened)


SABOTAGES: dict[str, Callable[[], None]] = {
    "seal-first": _seal_first,
    "publish-last": _publish_last,
    "token-without-content": _token_without_content,
    "no-read-back": _no_read_back,
    "no-rollback": _no_rollback,
    "no-second-reading": _no_second_reading,
}


def apply(name: str) -> None:
    """Breaks this process."""
    SABOTAGES[name]()
