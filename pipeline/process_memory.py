"""How the worker's process handles memory: fewer looks for cycles, fewer returns of memory to the system.

Place in the flow: called by the worker before it starts, and when it has built a version set or restored a partition's
profiles. A batch makes and drops tens of thousands of lists and structs, none of which form cycles, and arrays of
megabytes. By default the interpreter looks through the young ones every 700, and through all of the heap again and
again; the allocator gives every large array back to the system and gets it again page by page. Together that took 5 to
20 % of an event's CPU time. The allocator also keeps a heap for almost every thread, each with what one batch left
free: 180 of 1,380 MiB with 100,000 profiles. All of it stays bounded here.
"""

from __future__ import annotations

import ctypes
import gc

YOUNG_OBJECTS = 50_000
"""A look for cycles every so many net new containers: what cycles may hold until then is about 10 MB."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc, malloc.h
_HEAPS = 2
_TRIM_BYTES = 64 << 20
_MMAP_BYTES = 32 << 20  # the largest that glibc takes on 64 bits


def settle() -> None:
    """Takes what exists now for permanent, then collects rarely; call when everything is imported and built."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:  # another C library than glibc has its own ways
        set_option(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        set_option(_M_MMAP_THRESHOLD, _MMAP_BYTES)


def few_heaps() -> None:
    """Lets all threads share two heaps; call before anything is imported that starts threads of its own."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """Returns free memory to the system: call after something large was built from something larger, and rarely."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
