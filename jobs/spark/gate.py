"""Gate a table on Spark: Great Expectations looks at its rows where they are read.

By itself, where the driver's and the executors' Python has Isopach:

    spark-submit --packages io.delta:delta-spark_2.12:3.3.3 jobs/spark/gate.py \
        sales --lake s3://bucket/lake --date 2026-03-08

takes what `isopach gate` takes, which does the same in a local session with `--engine spark`.
What any batch of rows can tell is looked at in the executors, and so is what needs all rows of a
window; what needs all rows of the date, by Great Expectations' own engine for Spark.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from isopach.expectations.frames import to_spark
from isopach.expectations.gate import Rows, whole_found
from isopach.expectations.rules import suite_schema
from isopach.expectations.sightings import WINDOW, Sightings, Window, sightings
from isopach.expectations.validating import Found, validate
from isopach.feeds.suites import Expectation, Grain, Suite
from isopach.jobs.settled import Settled
from isopach.jobs.spark.export import settled_rows
from isopach.lake.tables import empty_frame

MOST_ROWS = 1 << 18
"""Rows that a worker looks at together: each look takes a while, however few there are."""
SIGHTED = pa.schema(
    {
        "label": pa.string(),
        "site": pa.string(),
        "business_date": pa.date32(),
        "unexpected": pa.int64(),
        "evaluated": pa.int64(),
        "error": pa.string(),
    }
)
FOUND = pa.schema(
    {
        "site": pa.string(),
        "success": pa.bool_(),  # null where there is no value to look at
        "unexpected": pa.int64(),
        "evaluated": pa.int64(),
        "observed": pa.string(),
        "error": pa.string(),
    }
)


@dataclass(frozen=True)
class OnSpark:
    """Reads rows on Spark."""

    spark: SparkSession

    def rows(self, settled: Settled, windows: Sequence[Window]) -> Rows:
        rows = settled_rows(self.spark, settled).withColumn("business_date", F.lit(settled.day))
        return SparkRows(rows, windows, suite_schema(settled.feed))


@dataclass(frozen=True)
class SparkRows:
    """Rows of some windows of one business date; a window fits into a worker's memory."""

    rows: DataFrame
    windows: Sequence[Window]
    schema: pa.Schema
    ruled: Sightings = field(default_factory=Sightings)

    def sightings(self, suite: Suite) -> Sightings:
        """Look at rows in any batches, by the function that looks at them without Spark."""
        columns = {name for one in suite.expectations for name in one.columns}
        look = partial(_sighted, suite=suite, schema=self.schema)
        found = Sightings()
        for row in self._map(sorted({*WINDOW, *columns}), look, SIGHTED).collect():
            if row.error is not None:
                found.errors[row.label] = row.error
                continue
            seen = found.by_label[row.label][(row.site, row.business_date)]
            seen.add(row.unexpected, row.evaluated)
        return found

    def validated(
        self, label: str, one: Expectation, grain: Grain
    ) -> Iterator[tuple[Window | None, Found | None]]:
        if grain == "run":
            yield None, self._whole(label, one)
            return
        columns = list(dict.fromkeys([*WINDOW, *one.columns]))
        look = partial(_by_window, label=label, one=one, schema=self.schema)
        rows = self._map(columns, look, FOUND, "site").collect()
        found = {row.site: _found(row) for row in rows}
        none = whole_found(empty_frame(self.schema), label, one, self.schema)
        for window in self.windows:
            yield window, found.get(window[0], none)  # one whose rows are gone has none

    def _whole(self, label: str, one: Expectation) -> Found | None:
        """Have the library look at all rows at once, on Spark."""
        rows = self.rows.select(one.columns or WINDOW[:1])
        found = validate(to_spark(rows), {label: one}, self.schema)[label]
        if found.error is not None or not one.columns:
            return found
        values = rows.agg(*(F.count(name) for name in one.columns)).first()
        return found if values is not None and any(values) else None

    def _map(
        self, columns: Sequence[str], look: Any, schema: pa.Schema, by: str | None = None
    ) -> DataFrame:
        rows = self.rows.select(*columns)
        rows = rows.repartition(by).sortWithinPartitions(by) if by else rows
        return rows.mapInArrow(look, from_arrow_schema(schema))


def _typed(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pl.DataFrame]:
    kinds = empty_frame(schema).schema
    for batch in batches:
        rows = pl.from_arrow(batch)
        assert isinstance(rows, pl.DataFrame)
        yield rows.cast({name: kinds[name] for name in rows.columns})


def _sighted(
    batches: Iterator[pa.RecordBatch], suite: Suite, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield what is found in a part of the rows, by label and window."""
    seen = Sightings()
    for rows in _together(_typed(batches, schema)):
        seen.merge([sightings(rows, suite, schema)])
    told: list[dict[str, Any]] = [
        {"label": label, "error": error} for label, error in seen.errors.items()
    ]
    told += [
        {"label": label, "site": site, "business_date": day} | vars(one)
        for label, windows in seen.by_label.items()
        for (site, day), one in windows.items()
    ]
    yield pa.RecordBatch.from_pylist(told, SIGHTED)


def _together(parts: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    waiting: list[pl.DataFrame] = []
    for rows in parts:
        waiting.append(rows)
        if sum(part.height for part in waiting) >= MOST_ROWS:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


def _by_window(
    batches: Iterator[pa.RecordBatch], label: str, one: Expectation, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield what is found in each window; rows are sorted by site."""
    for site, rows in _windows(_typed(batches, schema)):
        found = whole_found(rows, label, one, schema)
        told = {name: getattr(found, name, None) for name in FOUND.names} | {"site": site}
        yield pa.RecordBatch.from_pylist([told], FOUND)


def _windows(parts: Iterator[pl.DataFrame]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the rows of each site, one after the other."""
    waiting: list[pl.DataFrame] = []
    for rows in chain.from_iterable(
        part.partition_by("site", maintain_order=True) for part in parts
    ):
        if waiting and waiting[0]["site"][0] != rows["site"][0]:
            yield waiting[0]["site"][0], pl.concat(waiting)
            waiting = []
        waiting.append(rows)
    if waiting:
        yield waiting[0]["site"][0], pl.concat(waiting)


def _found(row: Any) -> Found | None:
    if row.success is None:
        return None
    return Found(row.success, row.unexpected, row.evaluated, row.observed, row.error)


if __name__ == "__main__":
    from isopach.jobs.cli import main

    sys.argv[1:] = ["gate", *sys.argv[1:], "--engine", "spark"]
    main()
