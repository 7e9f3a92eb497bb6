"""A settled night, and a suite that came after it: what it expects is met, failed, or warns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from small_night import FEED, SmallNight, declare, row, rows

from isopach.feeds.load import load_declaration
from isopach.jobs.settled import settled_days
from isopach.jobs.table_gate import Engine, Judged, gate_table

COLUMNS = {**FEED["columns"], "weight": "float64", "born": "date", "empty": "string"}


def one(
    type_: str,
    severity: str = "critical",
    grain: str = "window",
    empty: bool = False,
    **given: Any,
) -> dict[str, Any]:
    meta = {"grain": grain, "may_be_empty": empty}
    return {"type": f"expect_{type_}", "kwargs": given, "severity": severity, "meta": meta}


EXPECTED = [
    one("column_values_to_be_between", column="minutes", min_value=0, max_value=100),
    one("column_values_to_be_between", "warning", column="fee", min_value=1.5, mostly=0.8),
    one("column_values_to_match_regex", "info", column="note", regex="^[a-z ]+$"),
    one("column_values_to_not_be_null", column="note", mostly=0.5),
    one("column_values_to_be_null", "warning", column="empty"),
    one("column_values_to_be_in_set", "warning", column="empty", value_set=["x"], empty=True),
    one("column_values_to_be_in_set", "warning", "run", column="born", value_set=["2026-03-08"]),
    one("column_values_to_be_unique", column="note"),
    one("column_values_to_be_unique", "warning", "run", column="id"),
    one("column_mean_to_be_between", column="fee", max_value=5),
    one("column_mean_to_be_between", "warning", "run", column="weight", min_value=100),
    one("column_pair_values_a_to_be_greater_than_b", "warning", column_A="weight",
        column_B="minutes", or_equal=True, ignore_row_if="either_value_is_missing"),
    one("compound_columns_to_be_unique", column_list=["minutes", "fee"]),
    one("table_row_count_to_be_between", "warning", "window", min_value=7),
    one("table_row_count_to_equal", "critical", "run", value=27),
    one("column_to_exist", column="weight"),
    one("column_max_to_be_between", "warning", column="at", max_value="2026-03-09T00:00:00Z"),
]  # fmt: skip


def gated_night(folder: Path) -> SmallNight:
    """Return a lake in which four sites are settled, one of them with nothing.

    Weights are eighths: sums of others depend, in their last digit, on who adds them up.
    """
    night = SmallNight(folder, declare(folder, {**FEED, "columns": COLUMNS}))
    notes = ["good", None, "good", "Bad 1", "fine"]
    night.deliver("nyc", [
        row("nyc", f"n{n}", minutes=n * 50 % 160, note=notes[n % 5], weight=n / 8,
            born="2026-03-08")
        for n in range(10)
    ])  # fmt: skip
    night.deliver("kathmandu", [
        row("kathmandu", f"k{n}", fee="0.10" if n % 3 else "99.00", minutes=n, born=None,
            note=f"note {'abcdefghijkl'[n]}", weight=None if n else 1e6)
        for n in range(12)
    ])  # fmt: skip
    night.deliver("kiritimati", rows("kiritimati", 5))
    night.deliver("pago", [])
    night.run()
    suite = {"name": "after", "expectations": EXPECTED}
    (folder / "after.json").write_text(json.dumps(suite))
    feed = {**FEED, "columns": COLUMNS, "suite": "after"}
    (folder / "visits.yaml").write_text(yaml.safe_dump(feed, sort_keys=False))
    return SmallNight(folder, load_declaration(str(folder / "visits.yaml")))


def judged(night: SmallNight, engine: Engine, name: str = "test") -> Judged:
    """Gate the one date there is."""
    (settled,) = settled_days(night.lake, night.declaration.feed, None)
    return gate_table(settled, engine, name)


def lines(night: SmallNight, run: str) -> pl.DataFrame:
    """Return what a run's gate has written to the ledger."""
    return night.table("gates").filter(run=run).drop("run", "at").sort("expectation", "site")
