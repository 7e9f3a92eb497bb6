"""Provisional windows: counts of what a stream has landed, and the states that follow from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pyarrow as pa

from isopach.feeds.days import MICROSECOND
from isopach.feeds.feed import Feed
from isopach.feeds.sites import Sites
from isopach.lake import tables
from isopach.lake.commits import Snapshot, scan
from isopach.lake.landings import Landing, Window
from isopach.lake.places import Place
from isopach.lake.replace import revise
from isopach.lake.windows import HELD, PROVISIONAL, SETTLED, SETTLING, checksum_text, windows_frame
from isopach.pipelines.staging import sums_by_window
from isopach.transforms.batches import frame
from isopach.transforms.checksum import row_hashes
from isopach.transforms.counts import Tally, add_tallies

WINDOW = ["site", "business_date"]
FIGURES = ["read", "accepted", "rejected", "late", "duplicate"]
PROGRESS = OPEN, COMPLETE, CLOSED = "open", "complete", "closed"


def settled_windows(lake: Place, feed: str, since: date) -> pl.DataFrame:
    """Return windows that take no rows of a stream: a night has published or is publishing."""
    settled = pl.col("state").is_in([SETTLED, SETTLING])
    chosen = (pl.col("business_date") >= since) & (pl.col("feed") == feed) & settled
    return scan(lake, tables.WINDOWS).filter(chosen).select(WINDOW).collect()


def first_open_date(feed: Feed, watermark: int) -> date:
    """Return a business date before which all windows are closed, in any time zone."""
    if watermark < 0:
        return date.min
    reached = datetime.fromtimestamp(watermark // 1_000_000, UTC) - feed.lateness.allowed
    return reached.date() - timedelta(days=2)


def unfinished_windows(lake: Place, feed: str) -> pl.DataFrame:
    """Return the provisional windows that have not been recorded as closed."""
    chosen = (
        (pl.col("feed") == feed)
        & pl.col("state").is_in([PROVISIONAL, HELD])
        & (pl.col("progress") != CLOSED)
    )
    return scan(lake, tables.WINDOWS).filter(chosen).select(WINDOW).collect()


def progress(window: tuple[str, date], sites: Sites, feed: Feed, watermark: int) -> str:
    """Return how far a window has come: open, complete, or closed for good."""
    end = sites.window(*window)[1]
    if watermark >= end + feed.lateness.allowed // MICROSECOND:
        return CLOSED
    return COMPLETE if watermark >= end else OPEN


def window_counts(
    rows: pa.Table | None, aside: pa.Table | None, feed: Feed
) -> dict[Window, dict[str, int]]:
    """Return the counts of rows that land together, by window."""
    sums: dict[Window, Tally] = defaultdict(Tally)
    if rows is not None and rows.num_rows:
        hashes = row_hashes(rows, feed.payload.names, seeds=2)
        for window, (count, first, second) in sums_by_window(rows, hashes).items():
            sums[window] = Tally(count, count, checksum_a=first, checksum_b=second)
    if aside is not None:
        kinds = frame(aside.select([*WINDOW, "disposition"])).group_by(*WINDOW, "disposition").len()
        for site, day, kind, count in kinds.rows():
            sums[site, day] = add_tallies([sums[site, day], Tally(count, **{kind: count})])
    return {w: {k: v for k, v in t._asdict().items() if v} for w, t in sums.items()}


def add_counts(old: pl.DataFrame, landings: Sequence[Landing], feed: str) -> pl.DataFrame:
    """Return rows of `ledger/counts` with what landings brought added."""
    now = datetime.now(UTC)
    stored = {(r["run"], r["site"], r["business_date"]): r for r in old.iter_rows(named=True)}
    sums = {key: tally_of(row) for key, row in stored.items()}
    arrived = {key: row["arrived"] for key, row in stored.items()}
    for landing in landings:
        for window, counts in landing.counts.items():
            key = (landing.run, *window)
            sums[key] = add_tallies([sums.get(key, Tally()), _tally(counts)])
            arrived[key] = now
    rows = [
        _counts_row(key[0], feed, key[1:], tally) | {"arrived": arrived[key]}
        for key, tally in sums.items()
    ]
    return pl.DataFrame(rows, schema=old.schema)


def _tally(counts: Mapping[str, Any]) -> Tally:
    return Tally(**counts)


def tally_of(row: dict[str, Any]) -> Tally:
    """Return the tally that a row of `ledger/counts` holds."""
    return Tally(
        **{name: row[name] for name in FIGURES},
        bytes=row["bytes"] or 0,
        checksum_a=int(row["checksum"][:16], 16),
        checksum_b=int(row["checksum"][16:], 16),
    )


def _counts_row(run: str, feed: str, window: Window, tally: Tally) -> dict[str, Any]:
    return {
        "run": run,
        "feed": feed,
        "mode": "stream",
        "site": window[0],
        "business_date": window[1],
        **{name: getattr(tally, name) for name in FIGURES},
        "checksum": checksum_text(tally.checksum_a, tally.checksum_b),
    }


def stream_counts(lake: Place, feed: str, days: Iterable[date]) -> dict[Window, Tally]:
    """Return what all runs of a stream have counted, by window, on some dates."""
    chosen = (
        (pl.col("feed") == feed)
        & (pl.col("mode") == "stream")
        & pl.col("business_date").is_in(sorted(set(days)))
    )
    sums: dict[Window, Tally] = {}
    for row in scan(lake, tables.COUNTS).filter(chosen).collect().iter_rows(named=True):
        window = row["site"], row["business_date"]
        sums[window] = add_tallies([sums.get(window, Tally()), tally_of(row)])
    return sums


def record_states(
    lake: Place,
    feed: Feed,
    sites: Sites,
    windows: Iterable[Window],
    watermark: int,
    fences: Mapping[str, int],
) -> int | None:
    """Write the states of provisional windows to the ledger; those of settled ones stay.

    A window that a night is settling has its rows counted on: the night may yet hold it, or fail.

    Returns the ledger's version that has them; None where nothing was to be written.

    Args:
        fences: numbers that the commit records.
    """
    known = [(s, d) for s, d in windows if s is not None and d is not None and s in sites]
    if not known and not fences:
        return None
    moment = datetime.now(UTC)
    written = False

    def change(now: Snapshot, old: pl.DataFrame) -> pl.DataFrame | None:
        nonlocal written
        sums = stream_counts(lake, feed.feed, (day for _, day in known))
        stored = {(r["site"], r["business_date"]): r for r in old.iter_rows(named=True)}
        rows = []
        for window in known:
            row = stored.pop(window, {"state": PROVISIONAL})
            if row["state"] != SETTLED and row.get("settled_by") is None:
                row = row | _state(window, feed.feed, sums.get(window, Tally()))
                reached = progress(window, sites, feed, watermark)
                reached = max(reached, row.get("progress") or OPEN, key=PROGRESS.index)
                row |= {"progress": reached, "updated": moment}
            rows.append(row)
        new = pl.DataFrame([*rows, *stored.values()], schema=old.schema).sort(WINDOW)
        same = new.drop("updated").equals(old.sort(WINDOW).drop("updated"))
        moved = any((now.fence(name) or 0) < at for name, at in fences.items())
        written = moved or not same
        return new if written else None

    keys = windows_frame(known).with_columns(feed=pl.lit(feed.feed))
    version = revise(lake, tables.WINDOWS, keys, change, fences)
    return version if written else None


def _state(window: tuple[str, date], feed: str, tally: Tally) -> dict[str, Any]:
    return {
        "feed": feed,
        "site": window[0],
        "business_date": window[1],
        "rows": tally.accepted,
        "checksum": checksum_text(tally.checksum_a, tally.checksum_b),
    }
