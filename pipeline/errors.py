"""The one error tree of accesstrail; every layer may import it.

    AccesstrailError            code: low cardinality, fit for a metric label; never payload or personal data
    ├ ConfigError               wrong settings: every fault at once; exit 78
    ├ UsageError                wrong command line or input file; exit 2
    │ └ Forbidden               nobody known asks, or the account lacks the role: which one, and who grants it; exit 77
    ├ InvalidEvent              one record is bad input: it becomes a dead letter with this reason; never retried
    ├ DirectoryError            a file of the directory folder is wrong: file and line named; exit 65
    ├ Away                      broker or store does not answer, is busy, timed out: retry without end; exit 69
    ├ RejectedRow               the store refuses the content of a block: bisect, the row becomes a dead letter
    ├ BrokenInvariant           stop this partition and say so
    │ ├ Fenced                  another writer sealed our position first
    │ ├ LedgerConflict          re-computed evidence differs from the sealed one
    │ ├ OtherVersion            what was judged by another version of the code cannot be judged so again
    │ ├ TreeRefused             a tree contradicts what was signed: the notary signs it no more
 │ └ StoreRefused            rights or schema are wrong
    ├ LogIncomplete             the log lacks what a replay needs: exit 3
    ├ NoteRejected              a signed note is none, is not signed by a known key, or was changed: exit 65
    ├ NotificationRejected      a record of `access.notifications` is no notification, or no channel could send it
    ├ ModelRejected             a model directory is missing, corrupt or of another version: events go unscored
    └ LocalStackError           a child process could not be started or kept; message says what to do; exit 70

The three classes of trouble that a partition can meet (`partition/worker.py`): Away, RejectedRow, BrokenInvariant.
Exit codes follow sysexits(3) where one fits.
"""

from __future__ import annotations

from collections.abc import Sequence

EXIT_OK = 0
EXIT_DIFFERENCES = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_DATA = 65
EXIT_UNAVAILABLE = 69
EXIT_SOFTWARE = 70
EXIT_FORBIDDEN = 77
EXIT_CONFIG = 78


class AccesstrailError(Exception):
    """Base of all errors this project raises on purpose.

    `code` is of low cardinality (a metric label); the message tells a person what happened and what to do.
    Neither ever carries payload or personal data.
    """

    code = "error"
    exit_code = EXIT_SOFTWARE

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class ConfigError(AccesstrailError):
    """The configuration is wrong; `faults` lists every fault, not just the first."""

    code = "config"
    exit_code = EXIT_CONFIG

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(f"  - {fault}" for fault in self.faults)
        super().__init__(f"the configuration has {len(self.faults)} fault(s):\n{lines}")


class UsageError(AccesstrailError):
    """The command line or an input file it names cannot be used."""

    code = "usage"
    exit_code = EXIT_USAGE


class Forbidden(UsageError):
    """Whoever asks is not known, or may not do this; the message says which role it takes and who grants it."""

    code = "forbidden"
    exit_code = EXIT_FORBIDDEN


class InvalidEvent(AccesstrailError):
    """One record is not a valid access event; `code` is the reason its dead letter carries."""

    code = "invalid_event"
    exit_code = EXIT_DATA


class DirectoryError(AccesstrailError):
    """A file of the directory folder is wrong."""

    code = "directory"
    exit_code = EXIT_DATA


class Away(AccesstrailError):
    """A dependency does not answer now; the same request may be repeated unchanged."""

    code = "away"
    exit_code = EXIT_UNAVAILABLE


class RejectedRow(AccesstrailError):
    """The store refuses a block because of its content; splitting it finds the row."""

    code = "store_rejected"


class BrokenInvariant(AccesstrailError):
    """Going on would break a promise: this partition stops and says so."""

    code = "broken_invariant"


class Fenced(BrokenInvariant):
    """Another writer sealed this position of the partition's ledger first."""

    code = "fenced"


class LedgerConflict(BrokenInvariant):
    """Evidence computed again differs from what the ledger has sealed."""

    code = "ledger_conflict"


class OtherVersion(BrokenInvariant):
    """A version set was made by another version of the code: nothing can be judged under it here."""

    code = "other_version"


class TreeRefused(BrokenInvariant):
    """A tree does not lead from what was signed to what the store holds now; `code` says how."""

    code = "tree_changed"

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, code=code)


class StoreRefused(BrokenInvariant):
    """The store refuses us: missing rights, missing table, other schema, too old a server."""

    code = "store_refused"


class LogIncomplete(AccesstrailError):
    """The log does not hold what was recorded any more: it cannot be formed again."""

    code = "log_incomplete"
    exit_code = EXIT_INCOMPLETE


class NoteRejected(AccesstrailError):
    """A signed note is none, was changed, or nobody known has signed it; `code` says which."""

    code = "note_unsigned"
    exit_code = EXIT_DATA


class BundleMalformed(AccesstrailError):
    """A bundle of evidence, or a part of it, does not have the form of one."""

    code = "bundle_malformed"
    exit_code = EXIT_DIFFERENCES


class NotificationRejected(AccesstrailError):
    """A notification is none, or breaks a limit that every channel relies on."""

    code = "notification_rejected"
    exit_code = EXIT_DATA


class ModelRejected(AccesstrailError):
    """A model directory cannot be used; events are stored unscored until one can."""

    code = "model_rejected"
    exit_code = EXIT_DATA


class LocalStackError(AccesstrailError):
    """A part of the local stack could not be started or kept running."""

    code = "local_stack"
