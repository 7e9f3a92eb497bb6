"""Runs nights and streams in forked children, some of which are killed: a child starts in no time.

Reads one JSON job per line from stdin, answers each with one line. The parent imports everything
and does nothing with it, so that no thread that a child waits for is running when it forks.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from rich.console import Console

from isopach.expectations.gx import great_expectations
from isopach.feeds.load import load_declaration
from isopach.jobs import live, stream  # noqa: F401
from isopach.jobs.cli import app
from isopach.jobs.delivered import Deliveries
from isopach.jobs.nightly import Options, run_night
from isopach.jobs.progress import Progress
from isopach.lake.places import Place
from isopach.pipelines import sources  # noqa: F401


def main() -> None:
    # A shell that starts something beside it has it ignore Ctrl-C; children are sent it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    great_expectations()
    for line in sys.stdin:
        job = json.loads(line)
        start = time.perf_counter()
        child = os.fork()
        if not child:
            os.dup2(2, 1)  # what our parent reads is ours alone
            os._exit({"night": night, "command": command}[job["run"]](**job["settings"]))
        ends = [(start + seconds, number) for seconds, number in job["signals"]]
        code = ended(child, sorted(ends))
        print(json.dumps({"code": code, "seconds": time.perf_counter() - start}), flush=True)


def ended(child: int, signals: list[tuple[float, int]]) -> int:
    """Wait for a child, and send it signals at their times; return its exit code.

    The code is the negative signal if it was killed.
    """
    for moment, number in signals:
        while time.perf_counter() < moment:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.001)
        os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def command(arguments: list[str], die: int | None = None) -> int:
    """Run the command line, to its end or until just before a step; return its exit code."""
    try:
        if die:
            count_steps(die)
        app(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def night(folder: str, day: str, die: int | None = None) -> int:
    """Run a night, to its end or until just before a step on storage, counted from one."""
    try:
        if die:
            count_steps(die)
        home = Path(folder)
        declaration = load_declaration(str(home / "visits.yaml"))
        run_night(
            declaration,
            Deliveries(Place.of(home / "landing")),
            Place.of(home / "lake"),
            date.fromisoformat(day),
            Options(),
            Progress(Console(quiet=True)),
        )
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def count_steps(fatal: int) -> None:
    """Die before a step: a table made, a Delta commit, or a file that says how far a run is.

    What a step leaves is what the next one finds, so that dying after each is among these.
    """
    done = 0

    def mortal(step: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any, **options: Any) -> Any:
            nonlocal done
            done += 1
            if done == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args, **options)

        return stepping

    DeltaTable.create = staticmethod(mortal(DeltaTable.create))  # type: ignore[method-assign]
    for owner, name in (
        (DeltaTable, "create_write_transaction"),
        (Place, "write_bytes"),
        (Place, "delete"),
    ):
        setattr(owner, name, mortal(getattr(owner, name)))


if __name__ == "__main__":
    main()
