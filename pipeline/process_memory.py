"""How the worker's process handles memory: fewer looks for cycles, fewer returns of memory to the system.

Place in the flow: called once by the worker before it starts. A batch makes and drops tens of thousands of lists and
structs, none of which form cycles, and arrays of megabytes. By default the interpreter looks through the young ones
every 700, and through all of the heap again and again; the allocator gives every large array back to the system and
gets it again page by page. Together that was a fifth of the CPU time of an event. Both stay bounded here.
"""

from __future__ import annotations

import ctypes
import gc

YOUNG_OBJECTS = 50_000
"""A look for cycles every so many net new containers: what cycles may hold until then is about 10 MB."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc, malloc.h
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
