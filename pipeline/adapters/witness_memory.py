"""What a witness remembers, as one JSON file: size and root of each tree, on the disk before anybody is answered.

Replaced in one step at each new checkpoint: a crash leaves the old or the new content, never half of it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.private_files import sync_folder


class WitnessFile:
    """`WitnessMemory` of `pipeline/ledger/witnessing.py`. One thread at a time, one process a file."""

    def __init__(self, path: Path) -> None:
        """Reads what is there. Raises: ConfigError: it is no such file; a witness that forgot would sign anything."""
        self._path = path
        self._seen: dict[str, tuple[int, bytes]] = {}
        try:
            if path.exists():
                found = json.loads(path.read_text(encoding="utf-8"))
                self._seen = {origin: (int(size), bytes.fromhex(root)) for origin, (size, root) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            raise ConfigError([f"witness: {path} is not what a witness wrote: restore it from a copy"]) from None

    def newest(self, origin: str) -> tuple[int, bytes] | None:
        """As `WitnessMemory.newest`."""
        return self._seen.get(origin)

    def remember(self, origin: str, size: int, root: bytes) -> None:
        """As `WitnessMemory.remember`."""
        seen = {**self._seen, origin: (size, root)}
        body = json.dumps({name: [number, one.hex()] for name, (number, one) in sorted(seen.items())}, indent=1) + "\n"
        temporary = self._path.with_name(f".{self._path.name}.new")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        sync_folder(self._path.parent)
        self._seen = seen
