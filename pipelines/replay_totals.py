"""Totals of what a replay brought, added to those that are there."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import Snapshot, scan
from isopach.lake.places import Place
from isopach.lake.replace import revise
from isopach.lake.replays import Part, replay_fence, resting, rows_of
from isopach.pipelines.provisional import WINDOW
from isopach.pipelines.staging import totals_table
from isopach.transforms.totals import merge, partial_totals


def add_totals(
    lake: Place, feed: Feed, name: str, run: str, folder: Place, parts: Sequence[Part]
) -> None:
    """Add what parts brought to a total, but for windows that a night has taken since."""
    table, total = totals_table(feed, name), feed.totals[name]
    fence = replay_fence(run)
    measures = [field for field in table.schema if field.name not in ("_mode", "_run")]
    brought = [one for part in parts for one in part.brought]
    modes = pl.DataFrame(
        [(one.site, one.day, one.mode, one.run) for one in brought],
        schema={"site": pl.String, "business_date": pl.Date, "_mode": pl.String, "of": pl.String},
        orient="row",
    ).unique()

    def change(now: Snapshot, old: pl.DataFrame) -> pl.DataFrame | None:
        fresh = [part for part in parts if part.number > (now.fence(fence) or 0)]
        if not fresh:
            return None
        taken = resting(lake, feed.feed, modes["business_date"].unique().to_list())
        open_ = modes.join(taken, on=WINDOW, how="left").filter(
            pl.col("of").eq_missing(pl.col("rests_on"))
        )
        added = _totals_of(lake, feed, name, run, folder, fresh, open_.select(WINDOW))
        rest = old.join(open_, on=WINDOW, how="anti")
        kept = old.join(open_, on=WINDOW, how="semi").drop("_mode", "_run")
        added += kept.to_arrow().cast(pa.schema(measures)).to_batches()
        if not added:
            return old
        merged = pl.from_arrow(merge(added, total))
        assert isinstance(merged, pl.DataFrame)
        stamped = merged.join(open_.select(*WINDOW, "_mode"), on=WINDOW).with_columns(
            _run=pl.lit(run)
        )
        return pl.concat([rest, stamped.select(old.columns).cast(old.schema)])

    revise(lake, table, modes.select(WINDOW), change, {fence: len(parts)})


def _totals_of(
    lake: Place,
    feed: Feed,
    name: str,
    run: str,
    folder: Place,
    parts: Sequence[Part],
    windows: pl.DataFrame,
) -> list[pa.RecordBatch]:
    """Return a total's parts from the records that some parts of a replay brought."""
    total, found = feed.totals[name], []
    where = ["_source", "_position"]
    own = scan(lake, tables.records(feed.feed, feed.payload)).filter(pl.col("_run") == run)
    for day in windows["business_date"].unique():
        some = [part for part in parts if any(one.day == day for one in part.brought)]
        positions = pl.concat([rows_of(folder, part).select(where) for part in some])
        rows = (
            own.filter(pl.col("business_date") == day)
            .select(list(dict.fromkeys([*WINDOW, *total.columns(), *where])))
            .join(positions.lazy(), on=where, how="semi")
            .join(windows.lazy(), on=WINDOW, how="semi")
            .collect()
        )
        only = feed.model_copy(update={"totals": {name: total}})
        found += [part for _, part in partial_totals(rows.to_arrow(), only)]
    return found
