"""Whether the process of this container lives: `python -m deploy.alive FOLDER KIND`, a container's health check.

Each process writes a status file into the folder `run`, which names the address of its health pages; /livez there
answers 200. The folder is shared, so that `status` and the console see all; the addresses in it are each container's
own, and those of others lead nowhere. Exit 0: one of this kind, that wrote a moment ago, answers. Standard library
only: it runs often.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

_TIMEOUT_S = 3
_STALE_AFTER_S = 15
"""As `pipeline.adapters.status_file`: whoever has not written for so long is gone or stuck."""


def alive(folder: Path, kind: str) -> bool:
    """Whether a process of a kind that says in this folder how it is answers here that it lives."""
    return any(_answers(path) for path in folder.glob(f"{kind}-*.json"))


def _answers(path: Path) -> bool:
    """False: the file is old or names no address, or nobody answers well there."""
    try:
        if time.time() - path.stat().st_mtime > _STALE_AFTER_S:
            return False
        address = json.loads(path.read_text(encoding="utf-8")).get("health")
    except (OSError, ValueError, AttributeError):
        return False
    if not isinstance(address, str):
        return False
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if alive(Path(sys.argv[1]), sys.argv[2]) else 1)
