"""Seconds and peak memory of a whole process tree."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
EVERY = 0.05
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Measured:
    """A finished process: when it began (seconds since 1970), wall seconds from start to exit.

    `peak_mb` sums the resident sets of all processes at the worst moment, in 10^6 bytes;
    `private_mb` leaves out pages shared with files (libraries, mapped input).
    """

    began: float
    seconds: float
    peak_mb: float
    private_mb: float
    code: int
    output: str
    errors: str


@dataclass
class Peak:
    """The largest memory seen so far of a process and its descendants, in bytes."""

    resident: int = 0
    private: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def watch(self, pid: int) -> None:
        """Sample until told that the process has ended."""
        while not self.ended.wait(EVERY):
            resident, shared = memory(pid)
            self.resident = max(self.resident, resident)
            self.private = max(self.private, resident - shared)


def memory(pid: int) -> tuple[int, int]:
    """Return the resident bytes of a process tree, and how many of them files share."""
    resident = shared = 0
    for process in tree(pid):
        try:
            info = process.memory_info()
        except psutil.NoSuchProcess:
            continue
        resident += info.rss
        shared += getattr(info, "shared", 0)
    return resident, shared


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, none if it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def measure(command: Sequence[str]) -> Measured:
    """Run a command from the repository's root and measure it; raises OSError if it is missing."""
    os.sync()  # what an earlier run wrote is not to be flushed during this one
    peak = Peak()
    began = time.time()
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        sampler = threading.Thread(target=peak.watch, args=(process.pid,), daemon=True)
        sampler.start()
        try:
            output, errors = process.communicate()
            seconds = time.perf_counter() - start
        except BaseException:
            kill(process.pid)
            raise
        finally:
            peak.ended.set()
            sampler.join()
    resident, private = peak.resident / MEGABYTE, peak.private / MEGABYTE
    return Measured(began, seconds, resident, private, process.returncode, output, errors)


def environment() -> dict[str, str]:
    """Return the environment of a peer: as ours, and Python keeps its compiled modules."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def kill(pid: int) -> None:
    """End a process and its descendants."""
    for process in tree(pid):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
