"""Spark on this machine: a standalone cluster on free ports, and jobs sent by spark-submit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from jobs_in_turn import ENDED

from isopach.jobs.engines import EngineError, find_tool
from isopach.jobs.processes import Process, kept_on_error, running
from isopach.jobs.spark_jars import find_jar, spark_home

JOBS = Path(__file__).parents[2] / "jobs" / "spark"
IN_TURN = Path(__file__).parent / "jobs_in_turn.py"
START_SECONDS = 90.0
STARTED = r"Starting Spark master at (spark://\S+)"
REGISTERED = r"(Successfully registered with master)"
DEPLOY = "org.apache.spark.deploy"


@dataclass(frozen=True)
class SparkCluster:
    """A running cluster; each worker has a process group with its executors and their Python."""

    master: str
    workers: tuple[Process, ...]

    def busy(self) -> list[int]:
        """Return the groups in which a Python worker runs."""
        found = []
        for worker in self.workers:
            below = psutil.Process(worker.pid).children(recursive=True)
            if any("isopach-worker" in " ".join(_command_line(one)) for one in below):
                found.append(worker.pid)
        return found


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return []


def kill(group: int) -> None:
    """Kill a worker, its executors and their Python at once."""
    os.killpg(group, signal.SIGKILL)


@dataclass(frozen=True)
class Job:
    """How a job of `jobs/spark` ended, and what it printed."""

    code: int
    out: list[str]


def submitted(*jobs: Sequence[str]) -> list[Job]:
    """Run jobs of `jobs/spark`, each by name with its options, by one spark-submit.

    Each starts a session of its own. To start Spark takes longer than all they do, which is why it
    is started once.
    """
    home = spark_home()
    packages = f"io.delta:delta-spark_2.12:{version('delta-spark')}"
    submit = [f"{home}/bin/spark-submit", "--master=local[2]", f"--packages={packages}"]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_HOME": str(home)}
    asked = [[str(JOBS / name), *options] for name, *options in jobs]
    done = subprocess.run(
        [*submit, str(IN_TURN), json.dumps(asked)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[Job] = []
    out: list[str] = []
    for line in done.stdout.splitlines():
        if line.startswith(ENDED):
            found.append(Job(int(line.removeprefix(ENDED)), out))
            out = []
        else:
            out.append(line)
    assert len(found) == len(jobs), done.stderr[-2000:]
    return found


def missing_spark() -> str:
    """Return why Spark cannot run here; empty if it can."""
    try:
        find_tool("java", "Spark runs on it", "install Java 17")
        spark_home()
        find_jar()
    except EngineError as error:
        return f"no Spark: {error}"
    return ""


@contextmanager
def spark_cluster(workers: int = 2) -> Iterator[SparkCluster]:
    """Run a master and workers of one core each; all are stopped at the end."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="isopach-spark-cluster-")))
        logs = stack.enter_context(kept_on_error("spark-cluster"))

        def start(name: str, main: str, *more: str) -> Process:
            common = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
            command = [
                str(spark_home() / "bin" / "spark-class"),
                f"{DEPLOY}.{main}",
                *common,
                *more,
            ]
            return stack.enter_context(running(name, command, logs))

        master = start("master", "master.Master").wait_for(STARTED, START_SECONDS)
        share = ["--cores", "1", "--memory", "1g"]
        started = [
            start(f"worker-{n}", "worker.Worker", *share, "--work-dir", str(work / str(n)), master)
            for n in range(workers)
        ]
        for worker in started:
            worker.wait_for(REGISTERED, START_SECONDS)
        yield SparkCluster(master, tuple(started))
