"""What allocators are told at the start of a process holds for as long as it runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

ARENAS = """
import ctypes, threading
from isopach.jobs import cli
cli.keep_freed()
import pyarrow, polars
from isopach.jobs.memory import reuse_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
together = threading.Barrier(24)
def allocate():
    together.wait()
    libc.malloc(ctypes.c_size_t(1 << 20))
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(24)]
for one in threads:
    one.start()
for one in threads:
    one.join()
reuse_freed_memory()
assert pyarrow.default_memory_pool().backend_name == "system"
assert libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w"))) == 0
libc.fflush(None)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc")
def test_threads_share_two_arenas() -> None:
    found = subprocess.run(
        [sys.executable, "-c", ARENAS], capture_output=True, text=True, check=True
    )
    assert 1 <= found.stdout.count("<heap nr=") <= 2
