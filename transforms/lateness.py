"""Lateness: which rows of a stream come after their window was closed.

A source's watermark is its greatest event time so far, less what events may be out of order
(Akidau and others, The Dataflow Model, 2015). It goes by the rows before a row, not by batches,
so that the same rows are late however they were read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isopach.feeds.days import MICROSECOND
from isopach.feeds.feed import Feed
from isopach.feeds.sites import Sites
from isopach.transforms.quarantine import LATE, REJECTED, Mark
from isopach.transforms.stamp import encoded, window_bounds

UNKNOWN = np.iinfo(np.int64).min
"""The watermark of a source that has had no row."""


class Timeliness(NamedTuple):
    """Rows closed out and rows of days to come, and the watermark after them (UTC microseconds)."""

    late: NDArray[np.bool_]
    early: NDArray[np.bool_]
    watermark: int


def timeliness(
    rows: pa.RecordBatch, feed: Feed, sites: Sites, watermark: int, closed: int, now: int
) -> Timeliness:
    """Judge one source's rows, in the order of their positions.

    Args:
        watermark: the source's own before these rows, UTC microseconds.
        closed: the watermark at which windows were closed for all sources.
        now: the clock; an event time after it says nothing about the others.
    """
    reached = np.maximum.accumulate(_marks(rows, feed, now))
    before = np.maximum(np.concatenate([[watermark], reached]), max(watermark, closed))
    days = rows.column("business_date").view(pa.int32()).to_numpy(False)
    starts, ends = window_bounds(encoded(rows.column("site")), days, sites)
    late = ends + feed.lateness.allowed // MICROSECOND <= before[:-1]
    last = int(reached[-1]) if len(reached) else watermark
    return Timeliness(late, starts > now, max(last, watermark))


def watermark_after(rows: pa.RecordBatch | None, feed: Feed, watermark: int, now: int) -> int:
    """Return a source's watermark after some rows; the same as `timeliness` gives."""
    if rows is None or not rows.num_rows:
        return watermark
    return max(int(_marks(rows, feed, now).max()), watermark)


def _marks(rows: pa.RecordBatch, feed: Feed, now: int) -> NDArray[np.int64]:
    """Return the watermark that each row alone gives; none by a row from after the clock."""
    times = rows.column(feed.event_time).view(pa.int64()).to_numpy(False)
    return np.where(times > now, UNKNOWN, times - feed.lateness.out_of_order // MICROSECOND)


def closed_mark(feed: Feed) -> Mark:
    """Return the mark of rows whose window was closed."""
    return Mark(LATE, "window_closed", feed.business_date or feed.event_time)


def settled_mark(feed: Feed) -> Mark:
    """Return the mark of rows whose window a night has settled."""
    return Mark(LATE, "window_settled", feed.business_date or feed.event_time)


def early_mark(feed: Feed) -> Mark:
    """Return the mark of rows of days to come."""
    return Mark(REJECTED, "outside_window", feed.business_date or feed.event_time)
