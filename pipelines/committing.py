"""Committers of this process: one for each run, kept while the process lives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from time import monotonic
from typing import NamedTuple, TypeVar

from isopach.feeds.feed import Feed
from isopach.feeds.sites import Sites
from isopach.lake.places import Place
from isopach.pipelines.followers import Flush
from isopach.pipelines.intervals import Interval
from isopach.pipelines.landing import Lander

T = TypeVar("T")
LOG = logging.getLogger("isopach.stream")


class Failing(NamedTuple):
    """Why a run does not land now, and since when (on the monotonic clock)."""

    error: Exception
    since: float


FAILING: dict[str, Failing] = {}
"""By run; an engine tries again, and may never tell."""
_LOCK = Lock()
_LANDING = Lock()
"""An engine may hand over to a second worker before it has given up the first."""
_LANDERS: dict[str, Lander] = {}
_FLUSHED: dict[str, float] = {}


class Flushing(NamedTuple):
    """A flush under way in a thread."""

    flush: Flush
    written: Future[int | None]


_FLUSHING: dict[str, Flushing] = {}
"""By run."""


class Behind(NamedTuple):
    """A landing under way in a thread, and the positions up to which it goes."""

    waiting: Future[list[Interval]]
    next: dict[str, int]


_BEHIND: dict[str, Behind] = {}
"""By run."""


@dataclass(frozen=True)
class Committer:
    """Where a run of a stream lands; may be sent to a worker, and finds its lander there.

    `flush_seconds` is how long counts, totals and window states may be behind the records.
    """

    lake: Place
    feed: Feed
    sites: Sites
    run: str
    flush_seconds: float = 5.0

    @property
    def lander(self) -> Lander:
        """The process's lander of this run, made when first asked for."""
        with _LOCK:
            if self.run not in _LANDERS:
                _LANDERS[self.run] = Lander(self.lake, self.feed, self.sites, self.run)
            return _LANDERS[self.run]

    def land(self, intervals: Iterable[Interval]) -> list[Interval]:
        """Land intervals, and write counts and totals when it is time; see `Lander.land`."""
        lander = self.lander
        with _LANDING:
            try:
                waiting = self._land(lander, intervals)
            except Exception as error:
                since = FAILING.get(self.run, Failing(error, monotonic())).since
                FAILING[self.run] = Failing(error, since)
                LOG.error("not landed: %s: %s", type(error).__name__, error)
                raise
            FAILING.pop(self.run, None)
            return waiting

    def _land(self, lander: Lander, intervals: Iterable[Interval]) -> list[Interval]:
        flushing = _FLUSHING.get(self.run)
        if flushing is not None and flushing.written.done():
            self._end_flush(lander)
        waiting = lander.land(intervals)
        if monotonic() - _FLUSHED.get(self.run, 0.0) >= self.flush_seconds:
            self._flush(lander)
            _FLUSHED[self.run] = monotonic()
        return waiting

    def _flush(self, lander: Lander) -> None:
        """Write what has landed, in a thread where others are to land meanwhile."""
        self._end_flush(lander)
        if not self.flush_seconds:
            lander.flush()
            return
        flush = lander.begin_flush()
        _FLUSHING[self.run] = Flushing(flush, _in_thread("flush", flush.write))

    def _end_flush(self, lander: Lander) -> None:
        """Wait for a flush under way, and raise what it failed with."""
        flushing = _FLUSHING.pop(self.run, None)
        if flushing is not None:
            lander.end_flush(flushing.flush, flushing.written.result)

    def land_behind(self, intervals: list[Interval]) -> None:
        """Land intervals in a thread, so that the next are read and prepared meanwhile.

        One landing at a time: waits for the one before, and raises what that failed with. What
        follows on intervals that have not landed is dropped, to be read again.
        """
        if not self.settle():
            return
        ends = {one.source: one.next for one in sorted(intervals, key=lambda one: one.next)}
        _BEHIND[self.run] = Behind(_in_thread("land", partial(self.land, intervals)), ends)

    def settle(self) -> bool:
        """Wait for a landing behind, and raise what it failed with; tell whether all has landed."""
        behind = _BEHIND.pop(self.run, None)
        return behind is None or not behind.waiting.result()

    def under_way(self) -> dict[str, int]:
        """Return the positions up to which a landing behind goes; empty if there is none."""
        behind = _BEHIND.get(self.run)
        return {} if behind is None else behind.next

    def close(self) -> None:
        """Write what is left of counts and totals, and forget the lander."""
        self.settle()
        with _LOCK:
            lander = _LANDERS.pop(self.run, None)
            _FLUSHED.pop(self.run, None)
        if lander is not None:
            with _LANDING:
                try:
                    self._end_flush(lander)
                except Exception as error:
                    LOG.warning("trying again: %s", error)
                lander.flush()


def _in_thread(name: str, work: Callable[[], T]) -> Future[T]:
    """Begin some work in a thread of its own."""
    thread = ThreadPoolExecutor(1, name)
    begun = thread.submit(work)
    thread.shutdown(wait=False)
    return begun
