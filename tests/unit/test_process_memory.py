"""The worker's settings for memory take hold in a process of their own, and cycles are still collected."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

import pytest

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


_HEAPS_CODE = """
import ctypes, sys, threading
from pipeline.process_memory import few_heaps, give_back
if sys.argv[1] == "few":
    few_heaps()
libc, held, done = ctypes.CDLL(None), [], threading.Event()
def hold():
    held.append([bytes(1000) for _ in range(1000)])
    done.wait()
threads = [threading.Thread(target=hold) for _ in range(12)]
for thread in threads: thread.start()
while len(held) < 12: pass
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
done.set()
give_back()
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="glibc only")
def test_many_threads_share_few_heaps() -> None:
    def heaps(word: str) -> int:
        done = subprocess.run([sys.executable, "-c", _HEAPS_CODE, word], capture_output=True, text=True, check=True)
        return done.stdout.count("<heap nr=")

    assert heaps("few") <= 2 < heaps("many")
