"""Runs of `accesstrail verify --store` as small files of the state folder, one a run, so that the console can tell.

Place in the flow: written by the command, read by the console's pages. A file appears whole or not at all, and two runs
at once lose nothing of each other. Numbers, codes, names of trees and of the account that ran it; no event.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

import msgspec

from pipeline.audit.verification import VERDICTS, VerificationRun, Verifications
from pipeline.private_files import sync_folder, write_new

FOLDER = "verifications"
"""Its name in the state folder."""
MOST_KEPT = 20
_LONGEST_BYTES = 2 * 1024 * 1024
_FILES = "*.json"


class VerificationResults:
    """The runs of one state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / FOLDER

    def keep(self, run: VerificationRun) -> None:
        """Adds one; of more than twenty the oldest go, never the newest that came to a verdict. Raises: OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{run.began_us:020d}-{secrets.token_hex(4)}.json"
        draft = path.with_suffix(".tmp")
        write_new(draft, msgspec.json.encode(run).decode() + "\n")
        draft.replace(path)
        sync_folder(self._folder)
        self._clear()

    def _clear(self) -> None:
        judged = self._newest_judged()
        for path in self._paths()[MOST_KEPT:]:
            if judged is None or path != judged[0]:
                with suppress(OSError):  # another run was faster
                    path.unlink()

    def last_judged(self) -> VerificationRun | None:
        """The newest that came to a verdict; what is older is not read."""
        judged = self._newest_judged()
        return None if judged is None else judged[1]

    def _newest_judged(self) -> tuple[Path, VerificationRun] | None:
        read = ((path, _read(path)) for path in self._paths())
        return next(((path, run) for path, run in read if run is not None and run.is_judged), None)

    def all(self) -> Verifications:
        """Every run that is kept; none where there is no such folder."""
        found = [_read(path) for path in self._paths()]
        runs = sorted((one for one in found if one is not None), key=lambda one: one.began_us, reverse=True)
        return Verifications(runs, sum(one is None for one in found))

    def _paths(self) -> list[Path]:
        """The newest first."""
        return sorted(self._folder.glob(_FILES), reverse=True)


def _read(path: Path) -> VerificationRun | None:
    """None: it is no such file, or too large to be one of ours."""
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_BYTES + 1)
        found = msgspec.json.decode(content, type=VerificationRun) if len(content) <= _LONGEST_BYTES else None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found is not None and found.verdict in VERDICTS else None
