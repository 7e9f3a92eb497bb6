"""The states of windows in the ledger, and the marks of a night that is settling some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

import polars as pl

from isopach.lake import tables
from isopach.lake.commits import Snapshot, scan
from isopach.lake.places import Place
from isopach.lake.replace import replace_rows, revise
from isopach.lake.staged import Window
from isopach.lake.tables import FeedTables

SETTLED, SETTLING, HELD, PROVISIONAL = "settled", "settling", "held", "provisional"
WINDOW = ["site", "business_date"]


def close_to_streams(lake: Place, to: FeedTables, run: str, windows: Sequence[Window]) -> None:
    """Let no more rows of a stream into windows: what it has there now is all that it will have."""
    if windows:
        mark_settling(lake, to.feed, run, windows)
        replace_rows(lake, to.records, windows_frame([]), [], always=True)


def mark_settling(lake: Place, feed: str, run: str, windows: Sequence[Window]) -> None:
    """Mark windows that are to be replaced: from here on a stream's rows are late there.

    A stream that has decided before this loses against the next commit of records, and decides
    anew.
    """
    now = datetime.now(UTC)

    def change(_: Snapshot, old: pl.DataFrame) -> pl.DataFrame | None:
        stored = {(row["site"], row["business_date"]): row for row in old.iter_rows(named=True)}
        if all(_closing(stored.get(window), run) for window in windows):
            return None
        fresh = {"feed": feed, "rows": 0, "checksum": checksum_text(0, 0)}
        rows = [
            fresh
            | {"site": site, "business_date": day}
            | stored.get((site, day), {})
            | {"state": SETTLING, "run": run, "updated": now}
            for site, day in windows
        ]
        return pl.DataFrame(rows, schema=old.schema)

    if windows:
        keys = windows_frame(windows).with_columns(feed=pl.lit(feed))
        revise(lake, tables.WINDOWS, keys, change)


def _closing(row: Mapping[str, object] | None, run: str) -> bool:
    return row is not None and (row["state"], row["run"]) == (SETTLING, run)


def reopen(lake: Place, feed: str, run: str) -> None:
    """Take back the marks of a run that publishes nothing: the last that counted stands again."""
    mine = (pl.col("feed") == feed) & (pl.col("state") == SETTLING) & (pl.col("run") == run)
    keys = scan(lake, tables.WINDOWS).filter(mine).select("feed", *WINDOW).collect()
    nights = scan(lake, tables.COUNTS).filter(
        pl.col("feed") == feed, pl.col("mode") == "batch", pl.col("replay_of").is_null()
    )
    newest_of = nights.group_by(WINDOW).agg(last=pl.col("run").max())
    last = newest_of.join(keys.lazy().select(WINDOW), on=WINDOW, how="semi").collect()

    def change(_: Snapshot, old: pl.DataFrame) -> pl.DataFrame | None:
        settled, held = pl.col("settled_by").is_not_null(), pl.col("reason").is_not_null()
        state = (pl.when(settled).then(pl.lit(SETTLED)).when(held).then(pl.lit(HELD))).otherwise(
            pl.lit(PROVISIONAL)
        )
        known = settled | held | pl.col("progress").is_not_null()
        mark = (pl.col("state") == SETTLING) & (pl.col("run") == run)
        rows = old.filter(~mark | known).join(last, on=WINDOW, how="left")
        return rows.with_columns(
            state=pl.when(mark).then(state).otherwise("state"),
            run=pl.when(mark).then("last").otherwise("run"),
        ).drop("last")

    if not keys.is_empty():
        revise(lake, tables.WINDOWS, keys, change)


def windows_of(lake: Place, feed: str, days: set[date]) -> pl.DataFrame:
    """Return the ledger's rows of a feed's windows on some business dates."""
    chosen = pl.col("business_date").is_in(sorted(days)) & (pl.col("feed") == feed)
    return scan(lake, tables.WINDOWS).filter(chosen).collect()


def windows_frame(windows: Iterable[tuple[str | None, date | None]]) -> pl.DataFrame:
    """Return windows as a frame with their site and date."""
    schema = {"site": pl.String, "business_date": pl.Date}
    return pl.DataFrame(list(windows), schema=schema, orient="row")


def checksum_text(first: int, second: int) -> str:
    """Return a checksum as 32 hexadecimal digits."""
    return f"{first:016x}{second:016x}"
