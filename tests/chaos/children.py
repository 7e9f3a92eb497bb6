"""Processes that run nights and commands in children that can be killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from disturbed import numbers
from small_night import DAY, SmallNight

KILLED = -signal.SIGKILL


class Ended(NamedTuple):
    """How a child ended: its exit code, the negative signal if it was killed, and how long it
    lived."""

    code: int
    seconds: float


class Forks:
    """Processes that fork children, one for each of two cores."""

    def __init__(self) -> None:
        self.idle: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        self.all = [self._start() for _ in range(2)]

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).with_name("forks.py"))]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.idle.put(process)
        return process

    def night(
        self, night: SmallNight, seconds: float | None = None, die: int | None = None
    ) -> Ended:
        """Run a night in a child.

        Args:
            seconds: when to kill it.
            die: before which step on storage it kills itself.
        """
        settings = {"folder": str(night.folder), "day": f"{DAY}", "die": die}
        signals = [] if seconds is None else [(seconds, int(signal.SIGKILL))]
        return self._run("night", settings, signals)

    def command(
        self,
        *arguments: str,
        seconds: float | None = None,
        by: signal.Signals = signal.SIGKILL,
        die: int | None = None,
    ) -> Ended:
        """Run a command of `isopach` in a child.

        Args:
            seconds: when to send it a signal.
            die: before which step on storage it kills itself.
        """
        signals = [] if seconds is None else [(seconds, int(by))]
        return self._run("command", {"arguments": arguments, "die": die}, signals)

    def _run(
        self, kind: str, settings: dict[str, Any], signals: Sequence[tuple[float, int]]
    ) -> Ended:
        process = self.idle.get()
        try:
            assert process.stdin
            assert process.stdout
            job = {"run": kind, "settings": settings, "signals": signals}
            print(json.dumps(job), file=process.stdin)
            return Ended(**json.loads(process.stdout.readline()))
        finally:
            self.idle.put(process)

    def stop(self) -> None:
        for process in self.all:
            assert process.stdin
            process.stdin.close()
            process.wait(60)
            assert process.stdout
            process.stdout.close()


def before_steps(killed: Callable[[int], bool], first: int = 1) -> int:
    """Kill before one step after the other, two at once, until one is not there; return the last.

    Which steps is for `numbers` to say.
    """
    last, steps = 0, numbers(first)
    with ThreadPoolExecutor(2) as pool:
        while True:
            one, other = next(steps), next(steps)
            found = [*pool.map(killed, (one, other))]
            assert found != [False, True]
            if not all(found):
                return one if found[0] else last
            last = other
