"""Memory of an embedded run: what one batch frees, the next one takes."""

from __future__ import annotations

import ctypes
import gc
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's `mallopt(3)`."""
COLLECTED_OBJECTS = 20_000
"""How many objects are made between garbage collections; messages of a log are no cycles."""
JEMALLOC = "dirty_decay_ms:60000,muzzy_decay_ms:60000"
"""Milliseconds for which the allocator that Polars has built in keeps what is free."""


def keep_freed_for_polars() -> None:
    """Have Polars keep freed memory for a minute; of use only before Polars is imported."""
    others = os.environ.get("_RJEM_MALLOC_CONF", "")  # Polars' own, where a parent imported it
    os.environ["_RJEM_MALLOC_CONF"] = f"{others},{JEMALLOC}" if others else JEMALLOC


def reuse_freed_memory() -> None:
    """Keep freed memory in the process, and imported modules out of garbage collection.

    Batches are of like size and come and go; given back to the kernel each time, their pages are
    cleared and mapped anew, which takes a tenth of a night. Elsewhere than on glibc the allocator
    is left as it is.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS)
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        import pyarrow as pa

        mallopt(M_TRIM_THRESHOLD, 1 << 30)
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_ARENA_MAX, 2)
        pa.set_memory_pool(pa.system_memory_pool())
