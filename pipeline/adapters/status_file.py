"""The worker's state as one small file, written atomically about once a second; `accesstrail status` reads it.

Numbers, states and codes only; no identifier ever comes near it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path


class StatusFile:
    """Where one worker says how it is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, partitions: Sequence[Mapping[str, object]], *, ready: bool, model: Mapping[str, object]) -> None:
        """Replaces the file."""
        body = {
            "pid": os.getpid(),
            "updated_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "ready": ready,
            "model": dict(model),
            "partitions": [dict(one) for one in partitions],
        }
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self._path)

    def remove(self) -> None:
        """The worker ends: nothing is ready any more."""
        self._path.unlink(missing_ok=True)
