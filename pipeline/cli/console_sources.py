"""What the directory says of sources, as the console's pages need it again and again.

Place in the flow: shared by the overview (`console_live.py`) and the page of pipeline health (`console_health.py`).
Files are read again when they change, never a whole directory for one page.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from pipeline.adapters.directory import read_sources
from pipeline.directory.snapshot import SourceRow
from pipeline.errors import DirectoryError
from pipeline.privacy.keys import Keyring

_FILES = ("sources.csv", "actors.csv")


class ListedSources:
    """Sources of one folder; safe between threads."""

    def __init__(self, folder: Path, keyring: Keyring) -> None:
        self._folder, self._keyring = folder, keyring
        self._lock = threading.Lock()
        self._stamp: object = None
        self._rows: tuple[SourceRow, ...] = ()

    def rows(self) -> Sequence[SourceRow]:
        """As the files are now; none where there is no such file. Raises: DirectoryError: they have faults."""
        with self._lock:
            stamp = [_stamp(self._folder / name) for name in _FILES]
            if stamp != self._stamp:
                self._rows = read_sources(self._folder, self._keyring)
                self._stamp = stamp
            return self._rows

    def latest(self) -> Sequence[SourceRow]:
        """The same; while files have faults, what they said before."""
        try:
            return self.rows()
        except DirectoryError:
            return self._rows


def _stamp(path: Path) -> tuple[int, int, int]:
    """Changes whenever the file does, also where another one is put in its place."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0, 0
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
