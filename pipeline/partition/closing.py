"""The end of an older life of a topic: closed with a gap over its unread rest, so that nothing is skipped in silence.

Place in the flow: step 2 of recovery (`recovery.py`), where a topic was made anew or its log is shorter than what is
sealed of it.
"""

from __future__ import annotations

from detectors.profile import Profiles
from pipeline.batch import AfterStep, Forming, PartitionMemory, nothing
from pipeline.partition.recovery import END_OF_LOG
from pipeline.ports import EvidenceStore, LedgerEntry
from pipeline.stages.duplicates import DuplicateWindow
from pipeline.stages.gaps import TOPIC_RECREATED, Gap, gap_columns


def close_log(
    store: EvidenceStore,
    last: LedgerEntry,
    versions_id: bytes,
    retention_class: str,
    writer: str,
    after_step: AfterStep = nothing,
) -> None:
    """Closes an older life of a topic with a gap over its unread rest: nothing is skipped in silence.

    1. gap → store; 2. ledger entry → store: the commit point. A crash between them leaves a row that nobody sees; the
    next attempt repeats it, or writes its own where it runs under other versions.

    The gap reaches to `END_OF_LOG` because nobody can say any more how long that log was.
    """
    position = last.position
    gap = Gap(last.last_offset + 1, END_OF_LOG, last.last_received_at_us, TOPIC_RECREATED)
    forming = Forming(position, gaps=gap_columns([gap], position, versions_id))
    memory = PartitionMemory(position, last, Profiles(), DuplicateWindow())
    batch = forming.sealed(memory, versions_id, retention_class)
    assert batch.gaps is not None  # noqa: S101  just made
    store.insert_dead_letters(batch.gaps, f"{batch.token()}:gaps")
    after_step(1)
    store.seal(batch.entry, writer)
    after_step(2)
