"""Continuous: one unbounded pipeline on an engine, watched until it is to end."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event, Thread
from time import monotonic

import apache_beam as beam
import grpc
from apache_beam.runners.runner import PipelineResult

from isopach.feeds.load import Declaration
from isopach.jobs.engines import UNBOUNDED, EngineError, portable
from isopach.jobs.runners import BeamOptions
from isopach.lake import tables
from isopach.lake.commits import newest
from isopach.lake.landings import Reached, landed
from isopach.pipelines.committing import FAILING, Committer
from isopach.pipelines.continuous import build
from isopach.pipelines.logs import Bounds, Log, LogError
from isopach.pipelines.tailing import STOP, STUCK, WATERMARKS
from isopach.pipelines.watching import LAG, LATE_ROWS, PANES

LOG = logging.getLogger("isopach.stream")
LOOK = 0.5
DRAIN_SECONDS = 20.0
GIVE_UP_SECONDS = 60.0
STILL_SECONDS = 120.0
RESTARTS = 3
"""How often a job is started anew without landing a row in between."""


class JobError(OSError):
    """A job that ended by itself, or that goes on without landing anything."""


@dataclass(frozen=True)
class Options:
    """How a continuous stream is run; `every` is the time from one commit to the next.

    `engine` is `prism`, `flink`, `flink:HOST:PORT` (a cluster's REST address), or `HOST:PORT` of a
    job server that runs already; `beam` are more options for it.
    """

    engine: str = "prism"
    every: timedelta = timedelta(milliseconds=500)
    until_idle: bool = False
    idle_after: timedelta = timedelta(seconds=60)
    parallelism: int = 1
    beam: tuple[str, ...] = ()


@contextmanager
def started(options: Options) -> Iterator[tuple[str, ...]]:
    """Start the engine that is asked for; give the Beam options to submit to it with."""
    name, colon, address = options.engine.partition(":")
    if options.engine == "prism":
        from isopach.jobs.prism import prism

        with prism(say=LOG.warning) as engine:
            yield engine.options
    elif name == "flink":
        from isopach.jobs.flink import EMBEDDED, flink

        master = address if colon else EMBEDDED
        with flink(master, parallelism=options.parallelism, say=LOG.warning) as engine:
            yield engine.options
    elif colon and address.isdigit():
        yield portable(options.engine)
    else:
        raise EngineError(
            f"{options.engine!r} is no engine: give prism, flink, flink:HOST:PORT or the HOST:PORT "
            "of a job server"
        )


@dataclass
class Continuous:
    """Follows a log on an engine; `stuck` are sources that cannot be read on, and why."""

    declaration: Declaration
    log: Log
    to: Committer
    options: Options
    stuck: dict[str, str] = field(default_factory=dict)
    _moved: dict[str, tuple[int, float]] = field(default_factory=dict)
    _names: Sequence[str] = ()

    def run(self, stop: Event) -> None:
        """Run until told to stop, or until everything has landed where that is asked.

        A job that ends by itself or stands still is started anew, on a new engine: nothing of the
        old one is needed. Raises JobError when that does not help.
        """
        failures = 0
        while True:
            before = self._rows()
            try:
                self._run(stop)
                return
            except JobError as error:
                failures = 1 if self._rows() > before else failures + 1
                if failures > RESTARTS:
                    raise
                LOG.warning("%s; starting again", error)
                stop.wait(2.0**failures)

    def _run(self, stop: Event) -> None:
        STOP.clear()
        for known in (STUCK, WATERMARKS, PANES, LATE_ROWS):
            known.clear()
        FAILING.pop(self.to.run, None)
        self._moved.clear()
        with started(self.options) as beam_options:
            job = self._submit([*beam_options, *self.options.beam])
            try:
                self._watch(job, stop)
            finally:
                STOP.set()
                self._cancel(job)
        self.stuck = dict(STUCK)

    def _rows(self) -> int:
        return sum(reached.rows for reached in self.reached().values())

    def reached(self) -> dict[str, Reached]:
        """Return how far each source has landed."""
        try:
            self._names = self.log.sources()
        except LogError as error:  # brokers come back; if not, nothing lands and that is said
            LOG.error("%s", error)
        table = tables.records(self.to.feed.feed, self.to.feed.payload)
        return landed(newest(self.to.lake, table), self._names)

    def _submit(self, options: list[str]) -> PipelineResult:
        pipeline = beam.Pipeline(options=BeamOptions([*UNBOUNDED, *options]))
        build(
            pipeline,
            log=self.log,
            to=self.to,
            every=self.options.every,
            idle_after=self.options.idle_after,
        )
        return pipeline.run()

    def _watch(self, job: PipelineResult, stop: Event) -> None:
        ended = Ended(job)
        while not stop.wait(LOOK):
            ended.check()
            self._check_landing()
            if not self._lag() and self.options.until_idle:
                return
        STOP.set()
        self._drain(ended)

    def _check_landing(self) -> None:
        """Raise JobError if something has kept rows from landing: engines try again for ever."""
        failing = FAILING.get(self.to.run)
        if failing and monotonic() - failing.since > GIVE_UP_SECONDS:
            raise JobError(f"nothing lands: {failing.error}") from failing.error

    def _drain(self, ended: Ended) -> None:
        """Wait until what was read has landed: until nothing lands any more."""
        until, before = monotonic() + DRAIN_SECONDS, None
        while monotonic() < until:
            ended.check()
            now = self.reached()
            if now == before:
                return
            before = now
            Event().wait(3 * self.options.every.total_seconds() + LOOK)

    def _lag(self) -> int:
        """Return how many rows have not landed, of sources that can be read on; and show it.

        Raises JobError for a source that has rows and has not moved for long.
        """
        reached, total = self.reached(), 0
        for source, bounds in self._bounds().items():
            at = reached[source].fence if source in reached else bounds.first
            lag = bounds.end - at
            LAG.labels(self.to.feed.feed, source).set(lag)
            if source in STUCK:
                continue
            total += abs(lag)
            moved, since = self._moved.get(source, (-1, 0.0))
            if moved != at or not lag:
                self._moved[source] = (at, monotonic())
            elif monotonic() - since > STILL_SECONDS:
                raise JobError(f"{source} has not moved from {at:,} for {STILL_SECONDS:.0f} s")
        return total

    def _bounds(self) -> dict[str, Bounds]:
        try:
            return {source: self.log.bounds(source) for source in self.log.sources()}
        except LogError as error:
            LOG.error("%s", error)
            return dict.fromkeys(self._moved, Bounds(0, 1 << 62))

    def _cancel(self, job: PipelineResult) -> None:
        try:
            job.cancel()
        except Exception as error:  # whatever an engine that is gone makes of it
            LOG.info("the job could not be cancelled: %s", error)


def _why(error: BaseException | None) -> str:
    """Return in a line why a job ended: the last of an engine's traceback says most."""
    if isinstance(error, grpc.RpcError):
        return "its engine is gone"
    lines = str(error or "no reason was given").strip().splitlines()
    return " … ".join(line[:300] for line in dict.fromkeys([lines[0], lines[-1]]))


class Ended:
    """Waits for a job beside, and tells when it has ended by itself."""

    def __init__(self, job: PipelineResult) -> None:
        self.error: BaseException | None = None
        self.over = Event()
        self._thread = Thread(target=self._wait, args=(job,), name="isopach-job", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise JobError if the job has ended: by itself, or as its engine is gone."""
        if not self.over.is_set():
            return
        raise JobError(f"the job has ended: {_why(self.error)}; what has landed stays") from (
            self.error
        )

    def _wait(self, job: PipelineResult) -> None:
        try:
            job.wait_until_finish()
        except BaseException as error:
            self.error = error
        self.over.set()
