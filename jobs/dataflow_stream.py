"""A stream on Dataflow: the continuous graph, sent and left to itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from isopach.feeds.load import Declaration
from isopach.jobs.dataflow_jobs import console, send_job, settings_of
from isopach.jobs.endings import give_up
from isopach.jobs.runners import pipeline_on
from isopach.jobs.stream import FLUSH_SECONDS, open_tables
from isopach.lake.ledger import new_run, record_run
from isopach.lake.places import Place
from isopach.pipelines.committing import Committer
from isopach.pipelines.continuous import build
from isopach.pipelines.logs import Log


@dataclass(frozen=True)
class Following:
    """What a stream follows, where it lands, and how often."""

    declaration: Declaration
    log: Log
    lake: Place
    every: timedelta
    idle_after: timedelta
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """A job of a stream, which now runs without this process; `job` is empty for a template's."""

    run: str
    feed: str
    job: str
    job_name: str
    console: str


def send_stream(following: Following, beam: Sequence[str]) -> Sent:
    """Send the job that follows a log until it is drained or cancelled.

    The committer lives in a worker: nothing here is needed once the job is sent. Raises
    DataflowError, LogError, SchemaChangeError, DeclarationError.
    """
    declaration, lake, log = following.declaration, following.lake, following.log
    feed = declaration.feed
    open_tables(declaration, log, lake)
    run = new_run(feed.feed, "continuous", "stream", "DataflowRunner", following.parameters)
    record_run(lake, run)
    committer = Committer(lake, feed, declaration.sites, run.run, FLUSH_SECONDS)
    pipeline = pipeline_on("DataflowRunner", beam)
    settings = settings_of(pipeline)
    try:
        build(
            pipeline,
            log=log,
            to=committer,
            every=following.every,
            idle_after=following.idle_after,
        )
        job = send_job(pipeline)
        number = job.job_id() if job.has_job else ""
    except BaseException as error:
        give_up(lake, run, error)
        raise
    finally:
        log.close()
    # The process is none of this host's, so no other run takes it for killed when this one ends.
    process = f"dataflow:{settings.region}/{number or settings.job_name}"
    record_run(lake, replace(run, process=process))
    return Sent(run.run, feed.feed, number, settings.job_name, console(settings, number))
