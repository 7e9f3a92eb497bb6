"""Processes of engines: started on free ports, watched until they answer, stopped with us."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from time import monotonic, sleep

import grpc

from isopach.jobs.engines import EngineError
from isopach.jobs.silence import workers_ended

TERM_SECONDS = 5.0
WATCH = 'while read -r _; do :; done; kill -9 -"$1"'
"""Waits for the end of a pipe that only its starter holds, then kills a group of processes."""


@dataclass(frozen=True)
class Process:
    """A running process of an engine."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait_for(self, pattern: str, seconds: float) -> str:
        """Return the first group of a pattern once the log matches it.

        Raises EngineError if the process ends, or takes longer than `seconds`.
        """
        until = monotonic() + seconds
        while True:
            ended = self.popen.poll()
            found = re.search(pattern, self.log.read_text(errors="replace"))
            if found:
                return found.group(1)
            if ended is not None:
                raise EngineError(f"{self.name} ended with {ended} at its start{self._said()}")
            if monotonic() > until:
                raise EngineError(f"{self.name} did not start in {seconds:.0f} s{self._said()}")
            sleep(0.05)

    def wait_to_answer(self, endpoint: str, seconds: float) -> None:
        """Wait until a gRPC endpoint takes calls; raises EngineError if it never does."""
        with grpc.insecure_channel(endpoint) as channel:
            try:
                grpc.channel_ready_future(channel).result(seconds)
            except grpc.FutureTimeoutError:
                raise EngineError(
                    f"{self.name} does not answer at {endpoint} after {seconds:.0f} s{self._said()}"
                ) from None

    def _said(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        return f"; see {self.log}, which ends:\n" + "\n".join(lines)


@contextmanager
def kept_on_error(name: str) -> Iterator[Path]:
    """Give a folder for logs, which is removed unless an error leads out of it."""
    folder, failed = mkdtemp(prefix=f"isopach-{name}-"), False
    try:
        yield Path(folder)
    except Exception:
        failed = True
        raise
    finally:
        if not failed:
            rmtree(folder, ignore_errors=True)


@contextmanager
def running(name: str, command: list[str], folder: Path) -> Iterator[Process]:
    """Run a process until the end of the context; it dies with this one, however that ends."""
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us: we stop it when its job has ended
        )
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", WATCH, "watch", str(popen.pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Process(name, popen, log)
    finally:
        with workers_ended():
            _stop(popen)
        watcher.kill()
        watcher.communicate()


def _stop(popen: subprocess.Popen[bytes]) -> None:
    """End a process and its children, with force if they do not go."""
    if popen.returncode is not None:
        return
    _signal(popen.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        popen.wait(TERM_SECONDS)
    _signal(popen.pid, signal.SIGKILL)
    popen.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
