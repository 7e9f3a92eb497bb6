"""Judge intervals: which rows land in records, which in quarantine, and which must wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from isopach.feeds.feed import Feed
from isopach.feeds.sites import Sites
from isopach.lake.landings import Reached
from isopach.pipelines.intervals import Interval
from isopach.transforms.batches import concat, frame
from isopach.transforms.keys import WINDOW, ByHash, KeyIndex
from isopach.transforms.lateness import (
    UNKNOWN,
    closed_mark,
    early_mark,
    settled_mark,
    timeliness,
)
from isopach.transforms.quarantine import DUPLICATE, Mark, Marks, set_aside
from isopach.transforms.unique import repeated_among


class Known(NamedTuple):
    """What the lake holds already; `closed` is the watermark that windows are closed by."""

    sources: Mapping[str, Reached]
    closed: int
    keys: KeyIndex
    settled: pl.DataFrame


class Judged(NamedTuple):
    """What becomes of intervals, how far their sources have come, and what waits for a gap.

    `order` is that of the rows' keys.
    """

    rows: pa.Table | None
    aside: list[pa.RecordBatch]
    sources: dict[str, Reached]
    waiting: list[Interval]
    order: ByHash | None = None


def judge(
    intervals: Iterable[Interval], known: Known, feed: Feed, sites: Sites, now: int
) -> Judged:
    """Judge each row that has not landed, in the order of its source.

    What lies below a source's fence has landed and is dropped. A row is late when its window was
    closed or settled, and a duplicate when its key is in its window already.

    Args:
        now: UTC microseconds.
    """
    taken, waiting = contiguous(intervals, known.sources)
    reached = dict(known.sources)
    good, late, early, aside = [], [], [], []
    for interval in taken:
        before = reached.get(interval.source, Reached())
        watermark = UNKNOWN if before.watermark is None else before.watermark
        if interval.accepted is not None and interval.accepted.num_rows:
            found = timeliness(interval.accepted, feed, sites, watermark, known.closed, now)
            good.append(interval.accepted)
            late.append(found.late)
            early.append(found.early)
            watermark = found.watermark
        if interval.aside is not None and interval.aside.num_rows:
            aside.append(interval.aside)
        watermark = max(watermark, UNKNOWN if interval.idle is None else interval.idle)
        reached[interval.source] = Reached(
            interval.next, before.rows + interval.rows, None if watermark == UNKNOWN else watermark
        )
    if not good:
        return Judged(None, aside, reached, waiting)
    rows = concat(good)
    marks = Marks(rows.num_rows)
    marks.set(np.concatenate(late), closed_mark(feed))
    marks.set(_of_windows(rows, known.settled), settled_mark(feed))
    marks.set(np.concatenate(early), early_mark(feed))
    order = ByHash.of(rows)
    _mark_duplicates(rows, order, known.keys, feed, marks)
    aside += _marked(rows, marks, feed)
    if marks.marked is not None:
        kept = ~marks.marked
        rows, order = rows.filter(pa.array(kept)).combine_chunks(), order.among(kept)
    return Judged(rows, aside, reached, waiting, order)


def contiguous(
    intervals: Iterable[Interval], sources: Mapping[str, Reached]
) -> tuple[list[Interval], list[Interval]]:
    """Return what follows on each source's fence without a gap, trimmed, and what must wait."""
    taken, waiting = [], []
    at = {source: reached.fence for source, reached in sources.items()}
    for interval in sorted(intervals, key=lambda one: (one.source, one.first, one.next)):
        fence = at.setdefault(interval.source, interval.origin)
        if interval.first > fence:
            waiting.append(interval)
        elif interval.next > fence or (interval.idle is not None and interval.next == fence):
            taken.append(interval if interval.first == fence else interval.since(fence))
            at[interval.source] = interval.next
        elif interval.source not in sources and interval.first == interval.next:
            taken.append(interval)
    return taken, waiting


def _of_windows(rows: pa.Table, windows: pl.DataFrame) -> NDArray[np.bool_]:
    found = np.zeros(rows.num_rows, bool)
    if not windows.is_empty():
        own = frame(rows.select(list(WINDOW))).with_row_index("_row")
        found[own.join(windows, on=list(WINDOW), how="semi")["_row"].to_numpy()] = True
    return found


def _mark_duplicates(
    rows: pa.Table, order: ByHash, keys: KeyIndex, feed: Feed, marks: Marks
) -> None:
    """Mark rows whose key is taken; of those that come together, the first is kept."""
    mark = Mark(DUPLICATE, "duplicate_key", ",".join(feed.key))
    marks.set(keys.seen(rows, order), mark)
    alike = order.alike()
    if marks.marked is not None:
        alike = alike[~marks.marked[alike]]
    again = np.zeros(rows.num_rows, bool)
    again[repeated_among(alike, rows, feed.key)] = True
    marks.set(again, mark)


def _marked(rows: pa.Table, marks: Marks, feed: Feed) -> list[pa.RecordBatch]:
    codes = marks.codes
    return [
        set_aside(rows.filter(pa.array(codes == code)), list(feed.columns), feed.key, mark)
        for code, mark in enumerate(marks.kinds, start=1)
        if codes is not None and (codes == code).any()
    ]
