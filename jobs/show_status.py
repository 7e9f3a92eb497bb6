"""Tables for people: how sites stand."""

from __future__ import annotations

import polars as pl
from rich.console import Console

from isopach.jobs.show import table
from isopach.jobs.status import STATES, Status


def status(console: Console, found: Status) -> None:
    """Print a row for each site, then the alarms."""
    shown = found.sites.filter(
        pl.col("active") | pl.col("site").is_in(found.alarms["site"].implode())
    )
    console.print(
        f"{found.feed}: business date {found.date}"
        if found.date
        else f"{found.feed}: no business date is due yet",
        highlight=False,
    )
    table(console, shown.select(_columns()))
    rest = found.sites.height - shown.height
    if rest:
        console.print(f"  {rest:,} more sites are not active then", highlight=False)
    for alarm in found.alarms.iter_rows(named=True):
        where = " ".join(filter(None, [alarm["site"], str(alarm["business_date"])]))
        said = f"  {alarm['alarm']} {where}: {alarm['message']}"
        console.print(said, style="red", markup=False, highlight=False)
    count = found.alarms.height
    said = f"{count:,} alarm{'s' if count > 1 else ''}" if count else "no alarms"
    console.print(said, style="red" if count else "green", highlight=False)


def _columns() -> list[pl.Expr]:
    met = pl.col("deadline_met")
    band = pl.format("{} ({}..{})", "usual_rows", "usual_low", "usual_high")
    states = [pl.when(pl.col(s) > 0).then(pl.format(f"{{}} {s}", s)) for s in STATES]
    return [
        pl.col("site"),
        pl.when(pl.col("active")).then("business_date").alias("due"),
        pl.when(met)
        .then(pl.lit("met"))
        .when(~met)
        .then(pl.lit("missed"))
        .when(pl.col("active"))
        .then(pl.lit("unknown"))
        .alias("deadline"),
        _dated("last_delivery_date", "last_delivery_at", pl.col("last_delivery")).alias(
            "last delivery"
        ),
        _dated("last_event_date", "last_event_at").alias("last event"),
        pl.col("misses"),
        pl.col("zero_rows").alias("zero rows"),
        pl.col("last_delivery_rows").alias("rows"),
        pl.when(pl.col("usual_rows").is_not_null()).then(band).alias("usual rows"),
        pl.concat_str(states, separator=", ", ignore_nulls=True).alias("windows"),
    ]


def _dated(date: str, at: str, *more: pl.Expr) -> pl.Expr:
    """Write of which business date something last was, and when it came, in UTC."""
    time = pl.format("({}Z)", pl.col(at).dt.strftime("%m-%d %H:%M"))
    return pl.concat_str(
        pl.col(date).cast(pl.String), *more, time, separator=" ", ignore_nulls=True
    )
