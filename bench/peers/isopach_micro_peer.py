"""The stream by Isopach's micro-batches: this process becomes its command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from bench.feed import bare_sales
from bench.peers.stream_task import StreamTask, parse

EVERY = "200ms"


def command(task: StreamTask, options: Sequence[str]) -> list[str]:
    """Return the command that lands the topic in the lake at `out`."""
    flags = ["--source", task.source, "--lake", str(task.out), *options]
    ending = ["--until-idle"] if task.until_idle else []
    feed = bare_sales(task.out.with_name(f"{task.out.name}-feed"))
    return [sys.executable, "-m", "isopach.jobs.cli", "stream", feed, *flags, *ending, "--json"]


if __name__ == "__main__":
    os.execv(sys.executable, command(parse(), ["--every", EVERY]))
