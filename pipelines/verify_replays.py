"""Verify replays: what was replayed is in records, and counted as accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import newest, scan
from isopach.lake.places import Place
from isopach.lake.replays import folder_of, read_parts, unfinished
from isopach.lake.tables import FeedTables
from isopach.lake.windows import SETTLED, checksum_text
from isopach.pipelines.findings import Finding
from isopach.pipelines.provisional import FIGURES, WINDOW

WHERE = ["_source", "_position"]
CHECK = "replayed"


def with_replays(counts: pl.DataFrame) -> pl.DataFrame:
    """Return the counts of runs, each with what replays of its rows have changed."""
    own = [*WINDOW, "run"]
    replays = counts.drop_nulls("replay_of").with_columns(run="replay_of")
    changed = replays.group_by(own).agg(pl.col(FIGURES).sum().name.suffix("_replayed"))
    runs = counts.filter(pl.col("replay_of").is_null()).drop("replay_of")
    both = runs.join(changed, on=own, how="left").join(_checksums(runs, replays), own, "left")
    sums = [pl.col(name) + pl.col(f"{name}_replayed").fill_null(0) for name in FIGURES]
    checksum = pl.coalesce("summed", "checksum").alias("checksum")
    return both.with_columns(*sums, checksum).select(runs.columns)


def _checksums(runs: pl.DataFrame, replays: pl.DataFrame) -> pl.DataFrame:
    """Return the checksums of runs and their replays together, as `summed`."""
    own = [*WINDOW, "run"]
    columns = [*own, "checksum"]
    some = runs.join(replays, on=own, how="semi")
    sums: dict[Any, list[int]] = {}
    for *window, text in pl.concat([some.select(columns), replays.select(columns)]).iter_rows():
        first, second = sums.setdefault(tuple(window), [0, 0])
        halves = int(text[:16], 16), int(text[16:], 16)
        sums[tuple(window)] = [(first + halves[0]) % 2**64, (second + halves[1]) % 2**64]
    rows = [(*window, checksum_text(*both)) for window, both in sums.items()]
    schema = runs.select(own).schema | {"summed": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def unfinished_replays(lake: Place, to: FeedTables) -> Iterator[Finding]:
    """Name replays that some tables may not have followed yet."""
    records = newest(lake, to.records)
    for run in unfinished(lake, to.feed):
        if read_parts(folder_of(lake, to.feed, run), records, run):
            text = (
                f"run {run} is replaying rows: verify again when it has ended; if it was killed, "
                "replay once more"
            )
            yield Finding(CHECK, None, None, text)


def lost_of_nights(aside: pl.DataFrame, rows: pl.DataFrame) -> Iterator[Finding]:
    """Name rows of nights that were replayed, and are not in records."""
    replayed = aside.drop_nulls("replayed_run")
    yield from _named(replayed.join(rows, on=[*WINDOW, *WHERE], how="anti"))


def lost_of_stream(
    lake: Place, feed: Feed, good: pl.LazyFrame, aside: pl.LazyFrame
) -> Iterator[Finding]:
    """Name rows of a stream that were replayed, and are not in records.

    A night may have taken their place: where a row's window was not known when it was set aside,
    any window that its replay brought rows to.
    """
    replayed = aside.filter(pl.col("replayed_run").is_not_null())
    rows = replayed.select(*WINDOW, *WHERE, "replayed_run").collect()
    there = good.select(WHERE).join(rows.lazy(), on=WHERE, how="semi").collect()
    gone = rows.join(there, on=WHERE, how="anti").with_row_index("_row")
    if gone.is_empty():
        return
    of_feed = pl.col("feed") == feed.feed
    settled = scan(lake, tables.WINDOWS).filter(of_feed, pl.col("state") == SETTLED)
    streamed = pl.col("mode") == "stream"
    counted = scan(lake, tables.COUNTS).filter(of_feed, streamed, pl.col("accepted") > 0)
    taken = counted.join(settled, on=WINDOW, how="semi").select(
        replayed_run="run", own_site="site", own_day="business_date"
    )
    own = (pl.col("site") == pl.col("own_site")).fill_null(True)
    dated = (pl.col("business_date") == pl.col("own_day")).fill_null(True)
    excused = gone.join(taken.collect(), on="replayed_run").filter(own, dated)
    yield from _named(gone.join(excused, on="_row", how="anti"))


def _named(rows: pl.DataFrame) -> Iterator[Finding]:
    names = [*WINDOW, *WHERE, "replayed_run"]
    for site, day, source, position, run in rows.select(names).sort(names).iter_rows():
        text = f"{source} position {position:,} was replayed by run {run}, and is not in records"
        yield Finding(CHECK, site, day, text)
