"""The worker's settings for memory take hold in a process of their own, and cycles are still collected."""

from __future__ import annotations

import json
import subprocess
import sys

from pipeline.process_memory import YOUNG_OBJECTS

_CODE = """
import gc, json, weakref
from pipeline.process_memory import YOUNG_OBJECTS, settle
class Node: pass
settle()
frozen = gc.get_freeze_count()
first = Node(); first.self = first; seen = weakref.ref(first); del first
kept = [[] for _ in range(YOUNG_OBJECTS + 10)]
print(json.dumps([gc.isenabled(), gc.get_threshold()[0], frozen, seen() is None]))
"""


def test_what_exists_is_frozen_and_cycles_are_collected_rarely() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    enabled, threshold, frozen, collected = json.loads(done.stdout)
    assert enabled
    assert collected
    assert threshold == YOUNG_OBJECTS
    assert frozen > 1000
