"""Apache Flink: a job server for Beam's pipelines, over an embedded Flink or a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import uuid4

from isopach.jobs.built import built, run_tool
from isopach.jobs.engines import (
    JOBS_AT,
    Engine,
    EngineError,
    Say,
    find_tool,
    job_service,
    portable,
)
from isopach.jobs.processes import kept_on_error, running
from isopach.jobs.silence import lost_streams_silenced

POM = Path(__file__).resolve().parents[1] / "infra" / "flink" / "pom.xml"
SUBMITTED = "submitted/job-server.jar"
"""Beam's runner without Flink, as it is sent to a cluster."""
MENDED = "mended/beam.jar"
"""The classes of Beam that are mended (see the pom); they come before Beam's own."""
EMBEDDED = "[local]"
ENDED = ("CANCELED", "CANCELLING", "FAILED", "FINISHED")
START_SECONDS = 60.0
ANSWER_SECONDS = 10
HERE = timedelta(minutes=1)
"""From one checkpoint to the next of a job without end that is sent from here: what would be read
again; what has landed of it is dropped."""
RETRIES = ("--number_of_execution_retries=10", "--execution_retry_delay=3000")
"""What a cluster tries of a job that fails: one whose driver was killed would hold its slots for
ever otherwise."""
JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
ANNOUNCER = "org.apache.beam.runners.jobsubmission.JobServerDriver"


@contextmanager
def flink(
    master: str = EMBEDDED,
    *,
    streaming: bool = True,
    parallelism: int = 1,
    heap: str = "1g",
    say: Say = print,
) -> Iterator[Engine]:
    """Run a Flink job server on free ports; it is stopped at the end.

    Raises EngineError when it cannot be had or started.

    Args:
        master: `[local]` runs jobs in the job server itself; `host:port` is the REST address of a
            cluster, whose task managers must reach this machine.
        heap: the most that the job server takes, with the jobs where they run in it.
    """
    jars = find_jars(say)
    job = f"isopach-{uuid4()}"
    with (
        lost_streams_silenced(),
        TemporaryDirectory(prefix="isopach-flink-") as state,
        kept_on_error("flink") as logs,
        running("flink", _job_server(jars, master, heap, Path(state)), logs) as process,
    ):
        endpoint = process.wait_for(JOBS_AT, START_SECONDS)
        process.wait_to_answer(endpoint, START_SECONDS)
        options = (
            *portable(endpoint),
            f"--job_name={job}",
            f"--parallelism={parallelism}",
            *(unbounded(f"file://{state}/checkpoints") if streaming else ()),
            *(() if master == EMBEDDED else RETRIES),
        )
        try:
            yield Engine("flink", endpoint, options, process.pid, process.log)
        finally:
            if master != EMBEDDED:
                cancel_jobs(master, job)


def unbounded(checkpoints: str | None, every: timedelta = HERE) -> tuple[str, ...]:
    """Return what Flink is told of a job without end.

    Args:
        checkpoints: where they are kept; else it is the cluster's to say.
    """
    kept = (
        "--state_backend=filesystem",  # in memory it holds 5 MB at most
        f"--state_backend_storage_path={checkpoints}",
    )
    return (
        f"--checkpointing_interval={every // timedelta(milliseconds=1)}",
        "--max_bundle_time_mills=30",  # that is how the option is spelt
        "--max_bundle_size=1",  # an element is a whole poll; larger bundles stall now and then
        *(kept if checkpoints else ()),
    )


def cancel_jobs(master: str, name: str) -> None:
    """Cancel a cluster's running jobs of a name: Beam's own cancel leaves them running."""
    with suppress(URLError):
        for job in running_jobs(master, name):
            request = Request(f"http://{master}/jobs/{job}?mode=cancel", method="PATCH")
            urlopen(request, timeout=ANSWER_SECONDS).close()


def running_jobs(master: str, name: str) -> list[str]:
    """Return the numbers of a cluster's running jobs of a name; raises URLError."""
    with urlopen(f"http://{master}/jobs/overview", timeout=ANSWER_SECONDS) as answer:
        jobs = json.load(answer)["jobs"]
    return [job["jid"] for job in jobs if job["name"] == name and job["state"] not in ENDED]


def find_jars(say: Say = print) -> Path:
    """Return the folder of Flink's and the job server's jars, fetched with Maven if need be."""
    try:
        pom = POM.read_bytes()
    except OSError as error:
        raise EngineError(
            f"{POM}: {error.strerror}; Flink is run from a checkout, which has this file"
        ) from error

    def build(folder: Path) -> None:
        _fetch(folder, say)

    return built(f"flink-{sha256(pom).hexdigest()[:12]}", build)


def _fetch(folder: Path, say: Say) -> None:
    mvn = find_tool("mvn", "Flink's jars are fetched with it", "install Apache Maven and Java 17")
    say("Fetching Flink's jars (150 MB) with Maven; this happens once")
    target = folder / "target"
    goals = ["package", "dependency:copy-dependencies"]
    to = [f"-Dtarget={target}", f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
    run_tool([mvn, "-q", "-B", "-f", str(POM), *goals, *to], "Fetching Flink's jars")
    for made, kept in (("job-server.jar", SUBMITTED), ("original-job-server.jar", MENDED)):
        (folder / kept).parent.mkdir()
        (target / made).rename(folder / kept)
    rmtree(target)


def java(jars: Path, main: str, heap: str, state: Path, *loud: str) -> list[str]:
    """Return the command of a Java process of Flink.

    Args:
        state: a folder for what it keeps on disk.
        loud: the loggers that say more than warnings: where it listens.
    """
    program = find_tool("java", "Flink runs on it", "install Java 17 (OpenJDK)")
    logger = "-Dorg.slf4j.simpleLogger"
    return [
        program,
        f"-Xmx{heap}",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Djava.io.tmpdir={state}",
        f"{logger}.defaultLogLevel=warn",
        f"{logger}.showDateTime=true",
        *(f"{logger}.log.{name}=info" for name in loud),
        "-cp",
        f"{jars}/{MENDED}:{jars}/*",
        main,
    ]


def _job_server(jars: Path, master: str, heap: str, state: Path) -> list[str]:
    return [
        *java(jars, JOB_SERVER, heap, state, ANNOUNCER),
        *job_service(state),
        f"--flink-master={master}",
    ]
