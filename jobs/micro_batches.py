"""Micro-batches: a bounded pipeline over what a log has, again and again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Event
from time import monotonic, time_ns

from deltalake.exceptions import DeltaError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from isopach.feeds.days import MICROSECOND
from isopach.feeds.load import Declaration
from isopach.jobs.failures import chain
from isopach.jobs.runners import EMBEDDED, pipeline_on
from isopach.lake import tables
from isopach.lake.commits import newest
from isopach.lake.landings import LandingLostError, Reached, landed
from isopach.pipelines.committing import Committer
from isopach.pipelines.intervals import Interval
from isopach.pipelines.logs import Log, LogError
from isopach.pipelines.micro_batch import Range, build, plan_ranges
from isopach.pipelines.watching import LAG

LOG = logging.getLogger("isopach.stream")
ATTEMPTS = 4
AWAY_SECONDS = 600.0
"""How long a log that was there may not answer before the stream ends."""


@dataclass(frozen=True)
class Options:
    """How micro-batches are run.

    `every` is from one's start to the next, `rows` is about what one may read, `idle_after` is
    how long a source may have nothing before its watermark follows the clock.
    """

    every: timedelta = timedelta(seconds=1)
    until_idle: bool = False
    rows: int = 1_000_000
    idle_after: timedelta = timedelta(seconds=60)
    runner: str = "FnApiRunner"
    beam: tuple[str, ...] = ()


@dataclass
class MicroBatches:
    """Lands what a log gets; `stuck` are sources that cannot be read on, and why."""

    declaration: Declaration
    log: Log
    to: Committer
    options: Options
    stuck: dict[str, str] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _asked_last: float = field(default_factory=monotonic)
    _asked: dict[str, int] = field(default_factory=dict)

    def run(self, stop: Event) -> None:
        """Go on until told to stop, or until there is nothing left where that is asked."""
        while not stop.is_set():
            started = monotonic()
            more = self._retried()
            if self.options.until_idle and not more:
                return
            stop.wait(max(self.options.every.total_seconds() - (monotonic() - started), 0))

    def reached(self) -> dict[str, Reached]:
        """Return how far each source has landed."""
        table = tables.records(self.to.feed.feed, self.to.feed.payload)
        return landed(newest(self.to.lake, table), self.log.sources())

    def _retried(self) -> bool:
        """Run a micro-batch; what fails for reasons that may pass is tried again."""
        for attempt in Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_exponential(multiplier=0.5, max=10),
            stop=stop_after_attempt(ATTEMPTS),
            before_sleep=lambda state: LOG.warning(
                "trying again: %s", state.outcome and state.outcome.exception()
            ),
            reraise=True,
        ):
            with attempt:
                more = self._once()
                if attempt.retry_state.attempt_number > 1:
                    self.to.settle()  # what was handed over has not landed yet
                return more
        raise AssertionError("unreachable")

    def _once(self) -> bool:
        """Land what there is now; return whether there was anything, or the log is away."""
        try:
            more = self._land()
        except LogError as error:
            if self.options.until_idle or monotonic() - self._asked_last > AWAY_SECONDS:
                raise
            LOG.error("trying again: %s", error)
            return True
        self._asked_last = monotonic()
        return more

    def _land(self) -> bool:
        before = self._planned()
        ranges = plan_ranges(self.log, before, self.options.rows)
        readable = [r for r in ranges if self._readable(r)]
        beats = self._beats(before, {r.source for r in ranges})
        if readable:
            self._pipeline(readable, beats)
        else:
            self.to.settle()
            self.to.land(beats)  # counts and totals are due all the same
        self._note_lag()
        return bool(readable)

    def _planned(self) -> dict[str, Reached]:
        """Return how far each source will have landed with what is under way."""
        under_way, reached = self.to.under_way(), self.reached()
        for source, end in under_way.items():
            there = reached.get(source, Reached())
            reached[source] = replace(there, fence=max(end, there.fence))
        return reached

    def _pipeline(self, ranges: list[Range], beats: list[Interval]) -> None:
        embedded = self.options.runner in EMBEDDED
        pipeline = pipeline_on(self.options.runner, self.options.beam)
        build(pipeline, log=self.log, ranges=ranges, beats=beats, to=self.to, behind=embedded)
        pipeline.run().wait_until_finish()

    def _readable(self, wanted: Range) -> bool:
        """Tell whether a source can be read on; note why not.

        Only one that the last micro-batch did not move is tried here.
        """
        if self._asked.get(wanted.source) != wanted.first:
            self._asked[wanted.source] = wanted.first
            return True
        try:
            there = self.log.read(wanted.source, wanted.first, 1) is not None
        except LogError as error:
            if self.stuck.get(wanted.source) != str(error):
                LOG.error("%s", error, extra={"source": wanted.source})
            self.stuck[wanted.source] = str(error)
            return False
        self.stuck.pop(wanted.source, None)
        return there

    def _beats(self, reached: Mapping[str, Reached], busy: set[str]) -> list[Interval]:
        """Return empty intervals for new sources, and with the clock's time for idle ones."""
        beats, now = [], monotonic()
        for source in self.log.sources():
            since = now if source in busy else self._since.get(source, now)
            self._since[source] = since
            idle = now - since >= self.options.idle_after.total_seconds()
            if source in busy or (source in reached and not idle):
                continue
            at = reached[source].fence if source in reached else self.log.bounds(source).first
            slack = self.to.feed.lateness.out_of_order // MICROSECOND
            mark = time_ns() // 1000 - slack if idle else None
            beats.append(Interval(source, at, at, at, idle=mark))
        return beats

    def _note_lag(self) -> None:
        for source, reached in self.reached().items():
            lag = self.log.bounds(source).end - reached.fence
            LAG.labels(self.to.feed.feed, source).set(lag)


def _may_pass(error: BaseException) -> bool:
    """Tell whether storage failed, which Beam passes on as another error."""
    errors = list(chain(error))
    if not isinstance(error, Exception) or any(isinstance(e, LandingLostError) for e in errors):
        return False
    return any(isinstance(e, OSError | DeltaError) for e in errors)
