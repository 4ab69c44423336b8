"""Whether the process of this container lives: `python -m deploy.alive FOLDER`, a container's health check.

Each process writes a status file into its folder `run`, which names the address of its health pages; /livez there
answers 200. Exit 0: at least one does, and none that is asked says otherwise. Standard library only: it runs often.
"""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

_TIMEOUT_S = 3


def alive(folder: Path) -> bool:
    """Whether every process that says how it is in this folder answers that it lives; False where none says so."""
    answers = [_answers(path) for path in folder.glob("*.json")]
    known = [one for one in answers if one is not None]
    return bool(known) and all(known)


def _answers(path: Path) -> bool | None:
    """None: the file names no address."""
    try:
        address = json.loads(path.read_text(encoding="utf-8")).get("health")
    except (OSError, ValueError, AttributeError):
        return None
    if not isinstance(address, str):
        return None
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if alive(Path(sys.argv[1])) else 1)
