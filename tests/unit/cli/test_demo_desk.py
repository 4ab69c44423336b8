"""The demo's own channel: what its story waits for comes one by one."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pipeline.cli.demo_desk import Desk
from pipeline.incidents.flood import FloodLimits


def test_the_demo_lets_no_message_of_its_story_end_in_a_digest(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    desk = Desk(tmp_path)
    try:
        flood = tomllib.loads(desk.settings(18_080))["incidents"]["flood"]
    finally:
        desk.close()
    # Nine came within the minute in which seven may: the resolve was told in a digest, and the demo ended in an error.
    assert FloodLimits(**flood).per_minute - FloodLimits(**flood).reserved > 20
