"""Verify a stream: each position that landed is in records or in quarantine, exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

import polars as pl

from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import Snapshot, newest, scan
from isopach.lake.landings import NUMBER, LandingLostError, Reached, landed, newest_landing
from isopach.lake.places import Place
from isopach.lake.tables import FeedTables
from isopach.lake.windows import HELD, PROVISIONAL, SETTLED, checksum_text
from isopach.pipelines.findings import Finding
from isopach.pipelines.provisional import FIGURES, WINDOW, stream_counts
from isopach.pipelines.verify_replays import lost_of_stream
from isopach.transforms.counts import Tally

KINDS = FIGURES[2:]
BEHIND = "landing"
"""The check that tables which follow the records have every landing."""


def verify_stream(
    lake: Place, feed: Feed, to: FeedTables, day: date | None
) -> tuple[int, list[Finding]]:
    """Return how many rows a stream has set aside, and what does not hold.

    With a date, only its windows are checked, and not the sources.
    """
    records = newest(lake, to.records)
    if records is None or not records.fence(NUMBER):
        return 0, []
    on_day = pl.lit(True) if day is None else pl.col("business_date") == day
    streamed = pl.col("_mode") == "stream"
    good = scan(lake, to.records).filter(streamed, on_day)
    ever_aside = scan(lake, to.quarantine).filter(streamed, on_day)
    aside = ever_aside.filter(pl.col("replayed_run").is_null())
    counted = _counted(lake, feed, on_day)
    late = list(_behind(lake, to, records))
    findings = late or [
        *_windows(to, good, aside, counted),
        *_checksums(lake, feed, counted),
    ]
    findings += lost_of_stream(lake, feed, good, ever_aside)
    if day is None:
        settled = counted.filter(state=SETTLED)
        replaced = int((settled["accepted"] - settled["kept"]).sum())
        findings += _sources(lake, feed, records, good, aside, replaced)
    return int(aside.select(pl.len()).collect().item()), findings


def _behind(lake: Place, to: FeedTables, records: Snapshot) -> Iterator[Finding]:
    """Name tables that do not have every landing yet: a stream is under way, or was killed."""
    last = records.fence(NUMBER) or 0
    ledger = dict.fromkeys((tables.COUNTS, tables.WINDOWS), f"{NUMBER}/{to.feed}")
    fenced = ledger | dict.fromkeys(to.totals.values(), NUMBER)
    for table, fence in fenced.items():
        now = newest(lake, table)
        number = (now.fence(fence) or 0) if now else 0
        if number < last:
            text = (
                f"{table.name} has landings up to {number:,}, records up to {last:,}: verify again "
                "when the stream has ended; if it was killed, start it once more"
            )
            yield Finding(BEHIND, None, None, text)


def _counted(lake: Place, feed: Feed, on_day: pl.Expr) -> pl.DataFrame:
    """Return what a stream's runs counted per window, with the window's state."""
    of_feed = pl.col("feed") == feed.feed
    counts = (
        scan(lake, tables.COUNTS)
        .filter(of_feed, on_day, pl.col("mode") == "stream")
        .group_by(WINDOW)
        .agg(pl.col(FIGURES).sum())
    )
    states = (
        scan(lake, tables.WINDOWS)
        .filter(of_feed, on_day)
        .select(*WINDOW, "state", "rows", "checksum", pl.col("kept").fill_null(0))
    )
    return counts.join(states, on=WINDOW, how="left", nulls_equal=True).collect()


def _windows(
    to: FeedTables, good: pl.LazyFrame, aside: pl.LazyFrame, counted: pl.DataFrame
) -> Iterator[Finding]:
    """Check that the rows of each window are those that were counted."""
    there = good.group_by(WINDOW).agg(found_accepted=pl.len().cast(pl.Int64)).collect()
    kinds = [(pl.col("disposition") == k).sum().cast(pl.Int64).alias(f"found_{k}") for k in KINDS]
    set_aside = aside.group_by(WINDOW).agg(*kinds).collect()
    table = counted
    for found in (there, set_aside):
        table = table.join(found, on=WINDOW, how="full", coalesce=True, nulls_equal=True)
    figures = pl.col(*FIGURES, "found_accepted", *(f"found_{kind}" for kind in KINDS))
    for row in table.with_columns(figures.fill_null(0)).iter_rows(named=True):
        window = row["site"], row["business_date"]
        parts = sum(row[name] for name in FIGURES[1:])
        if row["read"] != parts:
            text = f"ledger/counts: read {row['read']:,}, accounted for {parts:,}"
            yield Finding("stream conservation", *window, text)
        settled = row["state"] == SETTLED  # a night's rows stand in the place of the stream's
        expected = {kind: row[kind] for kind in KINDS}
        expected["accepted"] = row["kept"] or 0 if settled else row["accepted"]
        for kind, rows in expected.items():
            stored = row[f"found_{kind}"]
            if stored != rows:
                where = (to.records if kind == "accepted" else to.quarantine).name
                text = f"{where} has {stored:,} {kind} of a stream, ledger/counts {rows:,}"
                yield Finding("stream", *window, text)
        if row["state"] in (PROVISIONAL, HELD) and row["rows"] != row["accepted"]:
            text = f"ledger/windows has {row['rows']} rows, ledger/counts {row['accepted']:,}"
            yield Finding("stream", *window, text)


def _checksums(lake: Place, feed: Feed, counted: pl.DataFrame) -> Iterator[Finding]:
    """Check that windows with rows of a stream alone have the checksum that it counted."""
    windows = counted.filter(pl.col("state").is_in([PROVISIONAL, HELD]))
    sums = stream_counts(lake, feed.feed, windows["business_date"].unique())
    for site, day, recorded in windows.select(*WINDOW, "checksum").iter_rows():
        tally = sums.get((site, day), Tally())
        found = checksum_text(tally.checksum_a, tally.checksum_b)
        if found != recorded:
            text = f"ledger/counts has {found} of a stream, ledger/windows has {recorded}"
            yield Finding("checksum", site, day, text)


def _sources(
    lake: Place,
    feed: Feed,
    records: Snapshot,
    good: pl.LazyFrame,
    aside: pl.LazyFrame,
    replaced: int,
) -> Iterator[Finding]:
    """Check that what each source has landed is stored once; a night has replaced some of it."""
    where = ["_source", "_position"]
    stored = pl.concat([good.select(where), aside.select(where)]).collect()
    reached = reached_sources(lake, feed, records, stored["_source"].unique())
    per_source = stored.group_by("_source").agg(
        rows=pl.len(), distinct=pl.col("_position").n_unique(), last=pl.col("_position").max()
    )
    for source, rows, distinct, last in per_source.iter_rows():
        at = reached.get(source, Reached())
        if rows != distinct:
            text = f"{source}: {rows:,} rows stored of {distinct:,} positions"
            yield Finding("positions", None, None, text)
        if last >= at.fence:
            text = f"{source}: position {last:,} is stored, and the fence is {at.fence:,}"
            yield Finding("positions", None, None, text)
    landed_rows = sum(at.rows for at in reached.values())
    if stored.height + replaced != landed_rows:
        again = f" and {replaced:,} replaced by nights" if replaced else ""
        text = f"{landed_rows:,} rows landed, {stored.height:,} stored{again}"
        yield Finding("positions", None, None, text)


def reached_sources(
    lake: Place, feed: Feed, records: Snapshot, stored: Iterable[str]
) -> dict[str, Reached]:
    """Return how far all sources have landed."""
    try:
        names = {*newest_landing(lake, feed.feed, records).sources, *stored}
    except LandingLostError:
        names = {*stored}
    return landed(records, names)
