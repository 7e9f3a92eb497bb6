"""Apache Flink: a job server for Beam's pipelines, over an embedded Flink or a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import uuid4

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from isopach.jobs.built import built
from isopach.jobs.engines import JOBS_AT, UNBOUNDED, Engine, EngineError, Say, job_service, portable
from isopach.jobs.flink_jars import ARCHIVE, archive, archive_of, find_jars, java, listing
from isopach.jobs.processes import kept_on_error, running
from isopach.jobs.silence import lost_streams_silenced

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
    built(archive_of(jars).parent.name, lambda folder: _archive(jars, folder, say))
    job = f"isopach-{uuid4()}"
    with _job_server(jars, master, heap) as (engine, state):
        options = (
            *engine.options,
            f"--job_name={job}",
            f"--parallelism={parallelism}",
            *(unbounded(f"file://{state}/checkpoints") if streaming else ()),
            *(() if master == EMBEDDED else RETRIES),
        )
        try:
            yield replace(engine, options=options)
        finally:
            if master != EMBEDDED:
                cancel_jobs(master, job)


@contextmanager
def _job_server(
    jars: Path, master: str, heap: str, classes: str | None = None
) -> Iterator[tuple[Engine, Path]]:
    """Run a job server; gives the folder of its files as well."""
    with (
        lost_streams_silenced(),
        TemporaryDirectory(prefix="isopach-flink-") as folder,
        kept_on_error("flink") as logs,
    ):
        state = Path(folder)
        command = java(jars, JOB_SERVER, heap, state, ANNOUNCER, classes=classes)
        command += [*job_service(state), f"--flink-master={master}"]
        with running("flink", command, logs) as process:
            endpoint = process.wait_for(JOBS_AT, START_SECONDS)
            process.wait_to_answer(endpoint, START_SECONDS)
            yield Engine("flink", endpoint, portable(endpoint), process.pid, process.log), state


def _archive(jars: Path, folder: Path, say: Say) -> None:
    """Archive the classes that a small job loads in an embedded Flink."""
    say("Preparing Flink's classes; this happens once and takes half a minute")
    used = folder / "used"
    with _job_server(jars, EMBEDDED, "1g", listing(used)) as (engine, _):
        options = PipelineOptions([*UNBOUNDED, *engine.options])
        with beam.Pipeline(options=options) as pipeline:
            _ = pipeline | beam.Create([("key", 1)]) | beam.GroupByKey() | beam.Reshuffle()
    try:
        archive(jars, used, folder / ARCHIVE)
    except EngineError as error:
        say(f"Flink will take some seconds more to start: {error}")
    used.unlink()


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
