"""A partition's memory after an assignment: profiles and duplicate window as they were when its last batch was sealed.

Place in the flow: step 3 and 5 of recovery (`recovery.py` says from where, `worker.py` does it step by step).
"""

from __future__ import annotations

from detectors.profile import Profiles
from pipeline.batch import PartitionMemory
from pipeline.errors import LedgerConflict
from pipeline.events import LogPosition
from pipeline.partition.recovery import ResumePlan
from pipeline.ports import EvidenceStore, LedgerEntry
from pipeline.stages.duplicates import WINDOW_IDS, DuplicateWindow


def stands_at(memory: PartitionMemory, resume: ResumePlan) -> bool:
    """Whether what we hold in memory is exactly what the ledger says: then nothing need be read again."""
    if memory.position != resume.position:
        return False
    sealed = resume.sealed_ranges
    ours, theirs = memory.sealed, sealed[-1].sealed if sealed else resume.base
    if ours is None or theirs is None:
        return ours is theirs
    return ours.entry_hash == theirs.entry_hash


def restore_memory(store: EvidenceStore, resume: ResumePlan) -> PartitionMemory:
    """The memory as it was at the plan's base. Raises: Away."""
    profiles, window = Profiles(), DuplicateWindow()
    if resume.snapshot is not None:
        profiles.restore(resume.snapshot.keys, resume.snapshot.states)
    if resume.base is not None:
        _fill_window(window, store, resume.position, resume.base.last_offset)
    return PartitionMemory(resume.position, resume.base, profiles, window, is_relearnt=resume.relearns)


def save_profiles(store: EvidenceStore, memory: PartitionMemory, feature_version: str, *, always: bool = False) -> bool:
    """Stores the profiles that changed since the last time; whether anything was written. `always`: also if none did.

    Raises: Away; StoreRefused: nothing was written.
    """
    assert memory.sealed is not None  # noqa: S101  nothing is learnt before something is sealed
    keys = memory.profiles.dirty()
    if keys or always:
        store.save_profiles(
            memory.position, memory.sealed.last_offset, feature_version, keys, memory.profiles.exported(keys)
        )
    memory.profiles.clear_dirty()
    memory.unsaved_events = 0
    return bool(keys) or always


def require_same(formed: LedgerEntry, sealed: LedgerEntry) -> None:
    """Evidence formed again must be the sealed one. Raises: LedgerConflict.

    The whole entry, not its hash alone: a column may have been changed beside the hash that vouches for it.
    """
    if formed != sealed:
        raise LedgerConflict(
            f"offsets {sealed.first_offset}–{sealed.last_offset} give other evidence than the ledger has sealed: "
            "keep store and log as they are and run `accesstrail doctor`"
        )


def _fill_window(window: DuplicateWindow, store: EvidenceStore, position: LogPosition, last_offset: int) -> None:
    """Brings the duplicate window to `last_offset` from the sealed rows, the newest 200,000 first occurrences."""
    event_ids, offsets, received_at_us = store.event_ids(position, last_offset, WINDOW_IDS)
    window.mark(event_ids, offsets, received_at_us)
    window.commit()
