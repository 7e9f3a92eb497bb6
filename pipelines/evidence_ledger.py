"""Verify the ledger's rows in evidence: counts, runs and differences are what they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl

from isopach.lake import tables
from isopach.lake.ledger import RUNNING
from isopach.lake.tables import Table
from isopach.pipelines.evidence import Evidence, Row
from isopach.pipelines.findings import Finding
from isopach.pipelines.gather_evidence import Date, plain

GROWING = ("read", "rejected", "late", "duplicate", "bytes")
"""Of a stream's counts: rows that come to a settled window are set aside."""
ENDING = ("ended", "outcome", "versions_out", "timings")
"""Of a run that was under way."""


def ledger_findings(now: Date, evidence: Evidence, settled: pl.DataFrame) -> Iterator[Finding]:
    """Name what the ledger no longer says of settled windows (`site`, `settled_by`)."""
    counts = plain(now.counts(settled))
    for check, site, text in (
        *_same(tables.COUNTS, evidence.counts, counts, ("site", "run"), _grown),
        *_same(tables.RUNS, evidence.runs, _runs(now, evidence), ("run",), _ended),
        *_differences(evidence, plain(now.differences(settled))),
    ):
        yield Finding(check, site, now.day, f"ledger/{check}: {text}")


def _runs(now: Date, evidence: Evidence) -> list[Row]:
    return plain(now.runs(str(row["run"]) for row in evidence.runs))


Odd = tuple[str, str | None, str]
"""A check, a site, and what does not hold there."""


def _same(
    table: Table,
    then: Sequence[Row],
    now: Sequence[Row],
    key: Sequence[str],
    allowed: Callable[[Row, Row, str], bool],
) -> Iterator[Odd]:
    """Compare rows of the ledger by key."""
    check, there = table.name.removeprefix("ledger/"), _by(now, key)
    for said in then:
        rows = there.get(tuple(said[name] for name in key), [])
        site, run = _text(said.get("site")), said["run"]
        if len(rows) != 1:
            what = f"{len(rows):,} rows" if rows else "no row"
            yield check, site, f"{what} of run {run} now, 1 then"
        for name, row in ((n, row) for row in rows for n in said):
            if said[name] != row[name] and not allowed(said, row, name):
                yield check, site, f"{name} of run {run} is {row[name]} now, was {said[name]}"


def _differences(evidence: Evidence, rows: Sequence[Row]) -> Iterator[Odd]:
    """Compare the records that differed; only those that the same runs found."""
    runs = {row["run"] for row in evidence.runs}  # those of differences among them
    now = _by([row for row in rows if row["run"] in runs], ("site", "run"))
    then = _by(evidence.differences, ("site", "run"))
    for site, run in sorted({*then, *now}):
        before, after = (Counter(_texts(side.get((site, run), []))) for side in (then, now))
        if before != after:
            odd = min((before - after) + (after - before))
            text = f"{after.total():,} rows of run {run} now, {before.total():,} then"
            yield "differences", site, f"{text}; such as {odd}"


def _by(rows: Sequence[Row], key: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in key), []).append(row)
    return found


def _texts(rows: Sequence[Row]) -> list[str]:
    return [f"{row['kind']} {row['key']}: {row}" for row in rows]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _grown(then: Row, now: Row, name: str) -> bool:
    old, new = then[name] or 0, now[name] or 0
    streamed = then["mode"] == "stream" and name in GROWING
    return streamed and isinstance(old, int) and isinstance(new, int) and old <= new


def _ended(then: Row, _: Row, name: str) -> bool:
    return then["outcome"] == RUNNING and name in ENDING
