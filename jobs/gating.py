"""Gate a night: what suites find in what was staged and counted, and which windows must wait."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import polars as pl
import pyarrow as pa

from isopach.expectations.gate import Outcome, Table, failures, gate
from isopach.expectations.rules import counts_schema, suite_schema
from isopach.expectations.sightings import Sightings
from isopach.feeds.feed import Feed
from isopach.feeds.suites import COUNTED, Suite
from isopach.jobs.site_ledger import read_ledger
from isopach.jobs.status import NIGHTS, usual
from isopach.lake import tables
from isopach.lake.commits import Active
from isopach.lake.files import DataFile
from isopach.lake.gates import write_gates
from isopach.lake.places import Place
from isopach.lake.replace import read_file
from isopach.lake.staged import Staged
from isopach.lake.tables import empty_frame
from isopach.lake.verdicts import Verdict
from isopach.lake.windows import WINDOW, windows_frame
from isopach.pipelines.staging import Target
from isopach.transforms.counts import Window


@dataclass(frozen=True)
class Gated:
    """What the gates of a run say: verdicts, warnings by window, and how many expectations failed.

    A warning's site is None where it is of the whole run.
    """

    verdicts: list[Verdict]
    warnings: list[dict[str, str | None]] = field(default_factory=list)
    passed: int = 0
    failed: int = 0


def gated(target: Target, staged: Staged, verdicts: Sequence[Verdict]) -> Gated:
    """Judge the windows that an audit lets through by their feed's suites.

    What is found is written to the run's staging folder, from where it is published.
    """
    feed = target.feed
    windows = [
        (v.site, v.day)
        for v in verdicts
        if not v.held and staged.counts.get((v.site, v.day), {}).get("read")
    ]
    outcomes: list[tuple[Suite, list[Outcome]]] = []
    if feed.suite and windows:
        outcomes.append((feed.suite, gate(feed.suite, _staged_rows(target, staged, windows))))
    if feed.counts_suite and windows:
        counts = _counted_rows(target, staged, verdicts, windows)
        outcomes.append((feed.counts_suite, gate(feed.counts_suite, counts)))
    if not outcomes:
        return Gated(list(verdicts))
    rows = pl.concat(
        gate_rows(target.run, feed.feed, "batch", suite, found, len(windows), verdicts[0].day)
        for suite, found in outcomes
    )
    write_gates(target.folder, rows)
    every = [one for _, found in outcomes for one in found]
    held = failures(every, windows)
    failed = rows.filter(pl.col("site").is_null(), outcome="failed").height
    return Gated(
        [_judged(verdict, held.get((verdict.site, verdict.day))) for verdict in verdicts],
        [warning_of(one) for one in every if one.warns],
        rows.filter(pl.col("site").is_null()).height - failed,
        failed,
    )


def _judged(verdict: Verdict, reasons: Sequence[str] | None) -> Verdict:
    return replace(verdict, held="; ".join(reasons)) if reasons else verdict


def warning_of(one: Outcome) -> dict[str, str | None]:
    """Return what is told of an expectation that failed and holds nothing."""
    return {
        "site": one.window[0] if one.window else None,
        "expectation": one.label,
        "observed": one.observed,
    }


def _staged_rows(target: Target, staged: Staged, windows: Sequence[Window]) -> Table:
    """Return what was staged of some windows, as a gate looks at it: file by file."""
    wanted = {(site, day.isoformat()) for site, day in windows}
    files = [f for f in staged.files.get("records", []) if wanted.intersection(f.windows)]
    ruled = Sightings()
    for window in windows:
        unexpected = staged.unexpected.get(window, {})
        for label, rows in staged.evaluated.get(window, {}).items():
            ruled.by_label[label][window].add(unexpected.get(label, 0), rows)
    return rows_of_files(target.lake, target.feed, files, windows, ruled)


def rows_of_files(
    lake: Place,
    feed: Feed,
    files: Sequence[DataFile | Active],
    windows: Sequence[Window],
    ruled: Sightings,
) -> Table:
    """Return the rows of some windows that files of records have, as a gate looks at them."""
    table, schema = tables.records(feed.feed, feed.payload), suite_schema(feed)
    wanted = {(site, day.isoformat()) for site, day in windows}
    chosen = windows_frame(windows)

    def read(file: DataFile | Active, columns: Sequence[str]) -> pl.DataFrame:
        rows = read_file(lake, table, file, list(dict.fromkeys(columns)))
        only = isinstance(file, DataFile) and set(file.windows) <= wanted
        return rows if only else rows.join(chosen, on=WINDOW, how="semi")

    def whole(columns: Sequence[str]) -> pl.DataFrame:
        none = empty_frame(pa.schema([schema.field(name) for name in columns]))
        return pl.concat([none, *(read(file, columns) for file in files)])

    named = {name for one in feed.suite.expectations for name in one.columns} if feed.suite else ()
    parts = [partial(read, file, sorted({*WINDOW, *named})) for file in files]
    return Table(windows, schema, parts, whole, ruled)


def _counted_rows(
    target: Target, staged: Staged, verdicts: Sequence[Verdict], windows: Sequence[Window]
) -> Table:
    """Return the counts of a run's windows, with rates and the rows that are usual there."""
    names = ("read", "accepted", "rejected", "late", "duplicate", "bytes")
    declared = {(v.site, v.day): v.declared for v in verdicts}
    schema: dict[str, Any] = {"site": pl.String, "business_date": pl.Date}
    schema |= dict.fromkeys([*names, "declared"], pl.Int64)
    counts = pl.DataFrame(
        [
            [*window, *(staged.counts[window].get(n, 0) for n in names), declared[window]]
            for window in windows
        ],
        schema=schema,
        orient="row",
    )
    rates = [
        (pl.col(name) / pl.col("read")).alias(f"{rate}_rate")
        for name, rate in (("rejected", "reject"), ("late", "late"), ("duplicate", "duplicate"))
    ]
    band = _usual(target.lake, target.feed, windows[0][1])
    rows = counts.with_columns(rates).join(band, on="site", how="left", maintain_order="left")
    rows = rows.select(COUNTED)
    return Table(windows, counts_schema(), [lambda: rows], rows.select)


def _usual(lake: Place, feed: Feed, day: date) -> pl.DataFrame:
    """Return the band of rows that each site's nights before a date usually have."""
    nights = read_ledger(lake, feed.feed, day - timedelta(1)).nights
    recent = nights.filter(pl.col("business_date") > day - timedelta(NIGHTS))
    return usual(recent).select("site", "usual_low", "usual_high")


def gate_rows(
    run: str,
    feed: str,
    mode: str,
    suite: Suite,
    outcomes: Sequence[Outcome],
    windows: int,
    day: date,
) -> pl.DataFrame:
    """Return outcomes as rows of `ledger/gates`: the run's line of each, and windows that failed.

    Args:
        windows: how many were looked at.
    """
    common = {"run": run, "feed": feed, "mode": mode, "suite": suite.name, "at": datetime.now(UTC)}
    by_label: dict[str, list[Outcome]] = {}
    for one in outcomes:
        by_label.setdefault(one.label, []).append(one)
    rows = [
        common | row
        for found in by_label.values()
        for row in (_line(found, windows, day), *_failed_windows(found))
    ]
    return pl.DataFrame(rows, schema=empty_frame(tables.GATES.schema).schema)


def _line(found: Sequence[Outcome], windows: int, day: date) -> dict[str, Any]:
    """Return the line of one expectation over a whole run."""
    failed = [one for one in found if not one.passed]
    whole = any(one.window is None for one in found)
    said = max(failed, key=_share).observed if failed else ""
    if len(found) == 1 and whole:
        said = found[0].observed
    elif failed:
        said = f"{len(failed):,} of {windows:,} windows fail, the worst: {said}"
    return _described(found[0]) | {
        "business_date": day,
        "outcome": "failed" if failed else "passed",
        "observed": said or None,
        "unexpected": _sum(one.unexpected for one in found),
        "evaluated": _sum(one.evaluated for one in found),
        "windows": windows,
        "failed": windows if failed and whole else len(failed),
    }


def _failed_windows(found: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    for one in found:
        if one.window is not None and not one.passed:
            yield _described(one) | {
                "site": one.window[0],
                "business_date": one.window[1],
                "outcome": "failed",
                "observed": one.observed,
                "unexpected": one.unexpected,
                "evaluated": one.evaluated,
            }


def _described(one: Outcome) -> dict[str, Any]:
    return {
        "expectation": one.label,
        "kwargs": json.dumps(one.expectation.kwargs, default=str),
        "severity": one.expectation.severity,
        "grain": one.grain,
    }


def _share(one: Outcome) -> float:
    return (one.unexpected or 0) / one.evaluated if one.evaluated else 1.0


def _sum(values: Iterator[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
