"""A stream on a service: the continuous graph, sent and left to itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from isopach.feeds.load import Declaration
from isopach.jobs.endings import give_up
from isopach.jobs.runners import pipeline_on, send
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


def send_stream(following: Following, runner: str, beam: Sequence[str]) -> Sent:
    """Send the job that follows a log until it is drained or cancelled.

    The committer lives in a worker: nothing here is needed once the job is sent. Raises
    DataflowError, FlinkError, LogError, SchemaChangeError, DeclarationError.
    """
    declaration, lake, log = following.declaration, following.lake, following.log
    feed = declaration.feed
    open_tables(declaration, log, lake)
    run = new_run(feed.feed, "continuous", "stream", runner, following.parameters)
    record_run(lake, run)
    committer = Committer(lake, feed, declaration.sites, run.run, FLUSH_SECONDS)
    pipeline = pipeline_on(runner, beam)
    try:
        build(
            pipeline,
            log=log,
            to=committer,
            every=following.every,
            idle_after=following.idle_after,
        )
        receipt = send(pipeline)
    except BaseException as error:
        give_up(lake, run, error)
        raise
    finally:
        log.close()
    # The process is none of this host's, so no other run takes it for killed when this one ends.
    record_run(lake, replace(run, process=receipt.process))
    return Sent(run.run, feed.feed, receipt.job, receipt.job_name, receipt.console)
