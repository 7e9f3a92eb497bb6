"""Seconds and peak memory of a whole process tree."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

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


class Running:
    """A process that is measured until it has ended; use it in a `with`, which does not leave it.

    What it prints goes to files, so that it never waits for a reader.
    """

    def __init__(self, command: Sequence[str]) -> None:
        os.sync()  # what an earlier run wrote is not to be flushed during this one
        self._peak = Peak()
        self._output, self._errors = TemporaryFile(), TemporaryFile()  # noqa: SIM115
        self.began = time.time()
        self._start = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
        )
        self._sampler = threading.Thread(
            target=self._peak.watch, args=(self.process.pid,), daemon=True
        )
        self._sampler.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.ended:
            kill(self.process.pid)
            self.process.wait()
        self._peak.ended.set()
        self._sampler.join()
        self._output.close()
        self._errors.close()

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def interrupt(self) -> None:
        """Ask the process to end, as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def finished(self, within: float | None = None) -> Measured:
        """Wait for the end; raises subprocess.TimeoutExpired after so many seconds."""
        code = self.process.wait(within)
        seconds = time.perf_counter() - self._start
        self._peak.ended.set()
        self._sampler.join()
        resident, private = self._peak.resident / MEGABYTE, self._peak.private / MEGABYTE
        said, errors = _text(self._output), _text(self._errors)
        return Measured(self.began, seconds, resident, private, code, said, errors)


def measure(command: Sequence[str]) -> Measured:
    """Run a command from the repository's root and measure it; raises OSError if it is missing."""
    with Running(command) as process:
        return process.finished()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


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
