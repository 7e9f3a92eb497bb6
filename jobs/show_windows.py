"""Tables for people: windows, one row each."""

from __future__ import annotations

import polars as pl
from rich.console import Console

from isopach.jobs.show import held, table
from isopach.jobs.three_way import ASIDE

WINDOW = ["business_date", "site"]
NO_DELIVERY, NO_WINDOW = "no delivery", "of no window"


def counts(console: Console, rows: pl.DataFrame) -> None:
    """Print what was declared and what each mode read, whether it adds up, and what is held."""
    if rows.is_empty():
        console.print("no windows: nothing of this was run there yet")
        return
    modes = [mode for mode in ("batch", "stream") if rows[f"{mode}_read"].count()]
    table(
        console,
        rows.select(
            *("business_date", "site", "state", "declared"),
            *(column for mode in modes for column in _of_mode(mode)),
            _said().alias("adds up"),
        ),
    )
    for day, site, reason in rows.drop_nulls("reason").select(*WINDOW, "reason").rows():
        held(console, f"{day} {site}", reason)
    states = rows.group_by("business_date", "state").agg(
        windows=pl.len(), rows=pl.col("rows").sum()
    )
    table(console, states.drop_nulls("state").sort("business_date", "state"))


def _of_mode(mode: str) -> list[pl.Expr]:
    parts = [
        pl.when(pl.col(f"{mode}_{kind}") > 0).then(pl.format(f"{{}} {kind}", f"{mode}_{kind}"))
        for kind in ASIDE
    ]
    return [
        pl.col(f"{mode}_read").alias(f"{mode}\nread"),
        pl.col(f"{mode}_accepted").alias(f"{mode}\naccepted"),
        pl.concat_str(parts, separator=", ", ignore_nulls=True).alias(f"{mode}\nset aside"),
    ]


def _said() -> pl.Expr:
    """Say whether a window adds up; records that differ all the same are counted beside."""
    same = pl.when(pl.col("causes").is_null()).then(pl.lit("yes"))
    return (
        pl.when(pl.col("gaps").is_not_null())
        .then("gaps")
        .when(pl.col("adds_up"))
        .then(same.otherwise(pl.format("yes; differ: {}", "causes")))
        .when(pl.col("state").is_null())
        .then(pl.lit(NO_WINDOW))
        .otherwise(pl.lit(NO_DELIVERY))
    )
