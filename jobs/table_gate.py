"""Gate a table: a feed's suite over what is settled of a business date, wherever it is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import polars as pl

from isopach.expectations.gate import Outcome, Rows, failures, gate
from isopach.expectations.sightings import Sightings, Window
from isopach.jobs.gating import gate_rows, rows_of_files, warning_of
from isopach.jobs.settled import Settled
from isopach.lake import tables
from isopach.lake.inventory import files_on
from isopach.lake.ledger import new_run, record_run
from isopach.lake.replace import upsert

CADENCE, MODE = "gate", "table"
HELD, PASSED = "held", "passed"


class Engine(Protocol):
    """What reads the rows that a gate looks at."""

    def rows(self, settled: Settled, windows: Sequence[Window]) -> Rows:
        """Return the settled rows of some windows."""


class InProcess:
    """Reads the table's files here, one after the other."""

    def rows(self, settled: Settled, windows: Sequence[Window]) -> Rows:
        files = files_on(settled.records, settled.day)
        return rows_of_files(settled.lake, settled.feed, files, windows, Sightings())


@dataclass(frozen=True)
class Judged:
    """What a gate says of a date's windows; those in `held` fail what is critical."""

    run: str
    feed: str
    business_date: str
    version: int
    engine: str
    windows: int
    passed: int
    failed: int
    held: list[dict[str, str]] = field(default_factory=list)
    warnings: list[dict[str, str | None]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def gate_table(settled: Settled, engine: Engine, name: str) -> Judged:
    """Hold a date's settled rows against the feed's suite; the result goes to the ledger.

    Windows without rows are not looked at, as nights do not. Rows are judged as they are: what
    row rules had set aside is not counted again.

    Args:
        name: the engine's, as the ledger tells it.
    """
    feed, day = settled.feed, settled.day
    assert feed.suite is not None, "a feed without one has no gate"
    version = settled.records.version
    run = new_run(
        feed.feed,
        CADENCE,
        MODE,
        name,
        {"date": f"{day}", "version": version, "suite": feed.suite.name},
    )
    sites = settled.windows.filter(pl.col("rows") > 0)["site"].to_list()
    windows = [(site, day) for site in sites]
    outcomes = gate(feed.suite, engine.rows(settled, windows)) if windows else []
    held = failures(outcomes, windows)
    rows = gate_rows(run.run, feed.feed, MODE, feed.suite, outcomes, len(windows), day)
    upsert(settled.lake, tables.GATES, rows, ["run", "business_date"])
    read = replace(run, versions_in=json.dumps({settled.table.name: version}))
    record_run(settled.lake, read.ended_as(HELD if held else PASSED, {}))
    return _judged(settled, run.run, name, windows, outcomes, rows)


def _judged(
    settled: Settled,
    run: str,
    engine: str,
    windows: Sequence[Window],
    outcomes: Sequence[Outcome],
    rows: pl.DataFrame,
) -> Judged:
    lines = rows.filter(pl.col("site").is_null())
    failed = lines.filter(outcome="failed").height
    held = failures(outcomes, windows)
    return Judged(
        run=run,
        feed=settled.feed.feed,
        business_date=f"{settled.day}",
        version=settled.records.version,
        engine=engine,
        windows=len(windows),
        passed=lines.height - failed,
        failed=failed,
        held=[{"site": site, "reason": "; ".join(said)} for (site, _), said in held.items()],
        warnings=[warning_of(one) for one in outcomes if one.warns],
        left_out=dict(settled.left_out),
    )
