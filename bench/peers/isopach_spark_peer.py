"""The night by Isopach on Spark's `local[*]`: this process becomes its command line.

The whole way of a cluster: a jar is packed, spark-submit runs it, workers are processes of their
own. Memory is what the hand-written job has.
"""

from __future__ import annotations

import os
import sys

from bench.feed import bare_sales
from bench.peers.pyspark_peer import SETTINGS
from bench.peers.task import Task, parse


def command(task: Task) -> list[str]:
    """Return the command that consolidates the night into the lake at `out`."""
    options = {"--landing": task.landing, "--date": task.day, "--lake": task.out}
    flags = [str(word) for option in options.items() for word in option]
    memory = f"driver_memory={SETTINGS['spark.driver.memory']}"
    spark = ["--on", "spark", "--master", "local[*]", "--set", memory, "--json"]
    feed = bare_sales(task.out.with_name(f"{task.out.name}-feed"))
    return [sys.executable, "-m", "isopach.jobs.cli", "submit", "nightly", feed, *flags, *spark]


if __name__ == "__main__":
    os.execv(sys.executable, command(parse()))
