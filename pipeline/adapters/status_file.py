"""Each worker's state as one small file of its own, written atomically about once a second.

`accesstrail status` and `doctor` read all of a state folder and merge them. Numbers, states and codes only; no
identifier ever comes near it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

STALE_AFTER = timedelta(seconds=15)
"""A worker writes once a second; one that has not for so long is gone or stuck."""


class StatusFile:
    """Where one process says how it is. `writer`: the id in its entries; `kind`: worker, scheduler, responder, …"""

    def __init__(self, folder: Path, writer: str, kind: str = "worker") -> None:
        self._folder, self._writer = folder, writer
        self._pattern = f"{kind}-*.json"
        self._path = folder / f"{kind}-{writer}.json"
        self._started_at = datetime.now(UTC)

    def clear_stale(self) -> None:
        """Removes what killed workers left."""
        for path in self._folder.glob(self._pattern):
            try:
                if datetime.now(UTC).timestamp() - path.stat().st_mtime > STALE_AFTER.total_seconds():
                    path.unlink()
            except OSError:
                continue  # another worker was faster

    def write(self, document: Mapping[str, object]) -> None:
        """Replaces the file."""
        body = {
            "writer": self._writer,
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(timespec="milliseconds"),
            "updated_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **document,
        }
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self._path)

    def remove(self) -> None:
        """The worker ends: nothing is ready any more."""
        self._path.unlink(missing_ok=True)


def read_workers(folder: Path, kind: str = "worker") -> list[dict[str, Any]]:
    """What the processes of a kind say in a state folder, stale ones left out, the longest running first."""
    found = []
    for path in folder.glob(f"{kind}-*.json"):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # it ended just now
        if isinstance(document, dict) and _is_recent(document.get("updated_at")):
            found.append(document)
    return sorted(found, key=lambda one: (str(one.get("started_at")), str(one.get("writer"))))


def _is_recent(text: object) -> bool:
    try:
        return datetime.now(UTC) - datetime.fromisoformat(str(text)) < STALE_AFTER
    except (TypeError, ValueError):
        return False
