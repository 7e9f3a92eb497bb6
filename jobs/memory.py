"""Memory of an embedded run: what one batch frees, the next one takes."""

from __future__ import annotations

import ctypes
import gc
import sys

import pyarrow as pa

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's `mallopt(3)`."""


def reuse_freed_memory() -> None:
    """Keep freed memory in the process, and imported modules out of garbage collection.

    Batches are of like size and come and go; given back to the kernel each time, their pages are
    cleared and mapped anew, which takes a tenth of a night. Elsewhere than on glibc the allocator
    is left as it is.
    """
    gc.collect()
    gc.freeze()
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, 1 << 30)
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_ARENA_MAX, 2)
        pa.set_memory_pool(pa.system_memory_pool())
