"""Run a stream: land what a log has and gets, until stopped or idle."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, current_thread, main_thread
from time import monotonic
from typing import Any

from isopach.expectations.checking import check_suites
from isopach.feeds.load import Declaration
from isopach.jobs import continuous, micro_batches
from isopach.jobs.compacting import compacting
from isopach.jobs.continuous import Continuous
from isopach.jobs.endings import end_killed_streams, finish_replays, give_up, versions
from isopach.jobs.memory import reuse_freed_memory
from isopach.jobs.micro_batches import MicroBatches
from isopach.jobs.nightly import feed_tables
from isopach.jobs.runners import EMBEDDED
from isopach.jobs.stream_gate import gating
from isopach.lake.commits import check_columns, create_or_open
from isopach.lake.ledger import new_run, record_run
from isopach.lake.places import Place
from isopach.lake.tables import FeedTables
from isopach.pipelines.committing import Committer
from isopach.pipelines.logs import Log
from isopach.pipelines.watching import landed_rows

LOG = logging.getLogger("isopach.stream")
FLUSH_SECONDS = 5.0


@dataclass(frozen=True)
class Summary:
    """What a run of a stream did: rows by what became of them, and where sources stand.

    `stuck` are sources that could not be read on, with the reason; `gate` are critical expectations
    that what landed last does not meet. A run that a gate has ended is `paused`.
    """

    run: str
    feed: str
    cadence: str
    outcome: str
    rows: dict[str, int]
    seconds: float
    fences: dict[str, int]
    stuck: dict[str, str]
    gate: list[str] = field(default_factory=list)


def run_stream(
    declaration: Declaration,
    log: Log,
    lake: Place,
    options: micro_batches.Options | continuous.Options,
    parameters: dict[str, Any],
) -> Summary:
    """Land what a log has and gets, until a signal (SIGINT, SIGTERM) or until idle.

    A source that cannot be read on is told of and left behind; the others go on. Raises LogError
    for a log that is not there, and SchemaChangeError.
    """
    started, feed = monotonic(), declaration.feed
    to = open_tables(declaration, log, lake)
    if isinstance(options, micro_batches.Options):
        cadence, engine = "micro-batch", options.runner
    else:
        cadence, engine = "continuous", options.engine
    run = new_run(feed.feed, cadence, "stream", engine, parameters)
    record_run(lake, run)
    here = cadence == "continuous" or engine in EMBEDDED
    if here:
        reuse_freed_memory()
    committer = Committer(lake, feed, declaration.sites, run.run, FLUSH_SECONDS if here else 0.0)
    reading = (
        MicroBatches(declaration, log, committer, options)
        if isinstance(options, micro_batches.Options)
        else Continuous(declaration, log, committer, options)
    )
    before = landed_rows(feed.feed)
    try:
        with (
            stopping() as stop,
            compacting(lake, [to.records, to.quarantine]),
            gating(lake, feed, run.run, stop) as gate,
        ):
            committer.lander.learn()
            reading.run(stop)
        committer.settle()
        gate.look()
        committer.close()
    except BaseException as error:
        give_up(lake, run, error)
        raise
    finally:
        log.close()
    ended = "paused" if gate.paused else "stopped" if stop.is_set() else "idle"
    outcome = "stuck" if reading.stuck else ended
    record_run(lake, run.ended_as(outcome, versions(lake, to)))
    return Summary(
        run=run.run,
        feed=feed.feed,
        cadence=cadence,
        outcome=outcome,
        rows={name: rows - before[name] for name, rows in landed_rows(feed.feed).items()},
        seconds=round(monotonic() - started, 3),
        fences={source: reached.fence for source, reached in reading.reached().items()},
        stuck=reading.stuck,
        gate=gate.failed,
    )


def open_tables(declaration: Declaration, log: Log, lake: Place) -> FeedTables:
    """Return a feed's tables, made where they are not there, once a stream may land in them.

    Tells of other streams of the feed. Raises LogError, SchemaChangeError, DeclarationError.
    """
    check_suites(declaration)
    to = feed_tables(declaration)
    log.sources()
    for table in to.all:
        check_columns(lake, table)
    for table in to.all:
        create_or_open(lake, table)
    finish_replays(declaration, lake, to)
    for other in end_killed_streams(lake, to):
        LOG.warning(
            "%s of %s streams this feed too: each row still lands once, but the two hold "
            "each other up",
            other.process,
            other.run,
        )
    return to


@contextmanager
def stopping() -> Iterator[Event]:
    """Give an event that a first SIGINT or SIGTERM sets; a second one interrupts."""
    stop = Event()
    if current_thread() is not main_thread():
        yield stop
        return

    def ask(number: int, _: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        LOG.warning("stopping: what was read is landed first; once more to stop at once")
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
