"""The night by Isopach: this process becomes its command line, as a user types it."""

from __future__ import annotations

import os
import sys

from bench.feed import bare_sales
from bench.peers.task import Task, parse


def command(task: Task) -> list[str]:
    """Return the command that consolidates the night into the lake at `out`."""
    options = {"--landing": task.landing, "--date": task.day, "--lake": task.out}
    flags = [str(word) for option in options.items() for word in option]
    feed = bare_sales(task.out.with_name(f"{task.out.name}-feed"))
    return [sys.executable, "-m", "isopach.jobs.cli", "nightly", feed, *flags, "--json"]


if __name__ == "__main__":
    os.execv(sys.executable, command(parse()))
