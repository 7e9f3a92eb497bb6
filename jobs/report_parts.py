"""Parts of a run's report, each from the ledger or from quarantine."""

from __future__ import annotations

import json
from datetime import date

import polars as pl

from isopach.jobs.queries import WINDOW
from isopach.jobs.report_history import EXPECTATION, gate_outcomes
from isopach.jobs.report_runs import Masks
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.ledger import Run
from isopach.lake.places import Place

EXAMPLES = 3
GROUP = ["disposition", "reason", "column"]
SHOWN = ["site", "kind", "key", "columns", "evidence", "stream", "batch"]
LINE = [
    *EXPECTATION,
    "kwargs",
    "severity",
    "grain",
    "outcome",
    "observed",
    "unexpected",
    "evaluated",
]


def differences(lake: Place, run: Run) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return how many records differed by cause and kind, and a few of each cause."""
    rows = scan(lake, tables.DIFFERENCES).filter(run=run.run, feed=run.feed).collect()
    counted = rows.group_by("cause", "kind").agg(
        records=pl.len(), sites=pl.col("site").n_unique(), repaired=pl.col("repaired_by").count()
    )
    ordered = rows.sort("cause", "site", "key")
    examples = ordered.group_by("cause", maintain_order=True).head(EXAMPLES)
    return (
        counted.sort("records", "cause", "kind", descending=[True, False, False]),
        examples.select("cause", *SHOWN, *(f"{m}_{w}" for m in ("stream", "batch") for w in AT)),
    )


AT = ("source", "position")


def differing_windows(lake: Place, run: Run) -> int:
    """Return in how many windows records differed."""
    rows = scan(lake, tables.DIFFERENCES).filter(run=run.run, feed=run.feed)
    return rows.select(pl.struct(WINDOW).n_unique()).collect().item()


def gates(lake: Place, run: Run) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the outcome of each expectation in a run, and the windows that failed some.

    `trend` are its outcomes in the last runs, oldest first.
    """
    rows = scan(lake, tables.GATES).filter(run=run.run, feed=run.feed).collect()
    trend = gate_outcomes(lake, run.feed, run.run).drop("severity")
    lines = rows.filter(pl.col("site").is_null()).select(*LINE, "windows", "failed")
    failed = (pl.col("outcome") == "failed").cast(pl.Int8)
    severity = pl.col("severity").replace_strict(RANKS, default=len(RANKS), return_dtype=pl.Int8)
    whole = lines.join(trend, on=EXPECTATION, how="left").sort(
        failed, severity, *EXPECTATION, descending=[True, False, False, False]
    )
    windows = rows.filter(pl.col("site").is_not_null(), outcome="failed")
    return whole, windows.select("site", *LINE).sort("site", *EXPECTATION)


RANKS = {"critical": 0, "warning": 1, "info": 2}


def warned_sites(failed: pl.DataFrame) -> pl.DataFrame:
    """Return by site the expectations that failed and hold nothing, as `warnings`."""
    light = failed.filter(pl.col("severity") != "critical")
    said = pl.concat_str("severity", pl.lit(": "), "expectation")
    return light.group_by("site", maintain_order=True).agg(warnings=said.str.join(", "))


def reasons(lake: Place, run: Run, day: date) -> pl.DataFrame:
    """Return how many rows of a date were set aside for which reason, by the night and the stream.

    Rows that a later run of the night has set aside instead are no more this run's.
    """
    rows = scan(lake, tables.quarantine(run.feed)).filter(business_date=day)
    mine, streamed = pl.col("_run") == run.run, pl.col("_mode") == "stream"
    return (
        rows.filter((mine & ~streamed) | streamed)
        .group_by(GROUP)
        .agg(
            batch=(~streamed).sum(),
            stream=streamed.sum(),
            sites=pl.col("site").n_unique(),
            replayed=pl.col("replayed_run").count(),
        )
        .sort("batch", "stream", *GROUP, descending=[True, True, False, False, False])
        .collect()
    )


def reason_examples(lake: Place, run: Run, day: date, masks: Masks) -> pl.DataFrame:
    """Return a few rows that a run set aside for each reason, sensitive columns masked."""
    rows = scan(lake, tables.quarantine(run.feed)).filter(business_date=day, _run=run.run)
    wanted = [*GROUP, "site", "key", "raw", "_source", "_position"]
    ordered = rows.filter(pl.col("_mode") != "stream").select(wanted).sort(*GROUP, "site", "key")
    some = ordered.group_by(GROUP, maintain_order=True).head(EXAMPLES).collect()
    return some.with_columns(
        pl.Series("raw", [masks.raw(text) for text in some["raw"]], pl.String),
        pl.Series("key", [masks.key(text) for text in some["key"]], pl.String),
    )


def undeclared(counts: pl.DataFrame) -> pl.DataFrame:
    """Return `column, site, rows`: values in columns that the feed does not declare."""
    found = [
        (column, site, rows)
        for site, text in counts.drop_nulls("extra").select("site", "extra").iter_rows()
        for column, rows in json.loads(text).items()
    ]
    schema = {"column": pl.String, "site": pl.String, "rows": pl.Int64}
    return pl.DataFrame(found, schema=schema, orient="row").sort("column", "site")


def written(run: Run) -> pl.DataFrame:
    """Return `table, before, after`: the Delta versions a run found and left."""
    before, after = (json.loads(text or "{}") for text in (run.versions_in, run.versions_out))
    rows = [(table, before.get(table), version) for table, version in after.items()]
    schema = {"table": pl.String, "before": pl.Int64, "after": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("table")
