"""Memory of an embedded run: what one batch frees, the next one takes."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's `mallopt(3)`."""
COLLECTED_OBJECTS = 20_000
"""How many objects are made between garbage collections; messages of a log are no cycles."""
JEMALLOC = "dirty_decay_ms:60000,muzzy_decay_ms:60000"
"""Milliseconds for which the allocator that Polars has built in keeps what is free."""


def keep_freed() -> None:
    """Have allocators keep freed memory in the process: to be called first of all.

    Batches are of like size and come and go; given back to the kernel each time, their pages are
    cleared and mapped anew, which takes a tenth of a night. Polars reads its setting when it is
    imported. glibc settles how many arenas there are once eight threads have asked for memory;
    with as many as it likes, each would come to keep the most that its threads ever had at once,
    and a stream's memory would grow for hours. Elsewhere its allocator is left as it is.
    """
    others = os.environ.get("_RJEM_MALLOC_CONF", "")  # Polars' own, where a parent imported it
    os.environ["_RJEM_MALLOC_CONF"] = f"{others},{JEMALLOC}" if others else JEMALLOC
    mallopt = _mallopt()
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, 1 << 30)
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_ARENA_MAX, 2)


def reuse_freed_memory() -> None:
    """Have Arrow share what `keep_freed` keeps, and garbage collection leave modules alone."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS)
    if _mallopt() is not None:
        import pyarrow as pa

        pa.set_memory_pool(pa.system_memory_pool())


def _mallopt() -> Any:
    """Return glibc's `mallopt`; None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "mallopt", None)
