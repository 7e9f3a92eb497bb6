"""Totals: measures per window and group, in parts that merge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import apache_beam as beam
import polars as pl
import polars.selectors as cs
import pyarrow as pa

from isopach.feeds.columns import polars_type
from isopach.feeds.feed import Feed
from isopach.feeds.sites import Sites
from isopach.feeds.totals import Measure, Total
from isopach.transforms.batches import concat, frame, single_batch
from isopach.transforms.windows import BusinessDays

WINDOW = ("site", "business_date")
TotalKey = tuple[str, str, date]
"""Name of the total, site, business date."""


@dataclass
class Totals(beam.PTransform):  # type: ignore[misc]
    """Merge partial totals per window: `((total, site, date), part)` in, one batch each out."""

    feed: Feed
    sites: Sites

    def expand(
        self, parts: beam.PCollection[tuple[TotalKey, pa.RecordBatch]]
    ) -> beam.PCollection[tuple[TotalKey, pa.RecordBatch]]:
        return (
            parts
            | "Window totals by business day" >> BusinessDays(self.sites)
            | "Gather parts of totals" >> beam.GroupByKey()
            | "Merge totals"
            >> beam.Map(merged, feed=self.feed).with_output_types(tuple[TotalKey, pa.RecordBatch])
        )


def merged(
    group: tuple[TotalKey, Iterable[pa.RecordBatch]], feed: Feed
) -> tuple[TotalKey, pa.RecordBatch]:
    """Return a window's total from its parts."""
    key, parts = group
    return key, merge(parts, feed.totals[key[0]])


def partial_totals(rows: pa.Table, feed: Feed) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the totals of some accepted rows, a batch per total; without rows there are none."""
    for name, total in feed.totals.items() if rows.num_rows else ():
        view = pl.from_arrow(rows.select(list(dict.fromkeys([*WINDOW, *total.columns()]))))
        assert isinstance(view, pl.DataFrame)
        grouped = view.group_by(*WINDOW, *total.by).agg(_measured(total, feed))
        yield name, single_batch(grouped.with_columns(cs.categorical().cast(pl.String)).to_arrow())


def window_totals(rows: pa.Table, feed: Feed) -> Iterator[tuple[TotalKey, pa.RecordBatch]]:
    """Yield the totals of some accepted rows, a batch per total and window."""
    for name, totals in partial_totals(rows, feed):
        for (site, day), part in frame(totals).partition_by(*WINDOW, as_dict=True).items():
            yield (name, str(site), day), single_batch(part.to_arrow())


def merge(parts: Iterable[pa.RecordBatch], total: Total) -> pa.RecordBatch:
    """Merge parts of a total; the result is sorted by group."""
    together = frame(concat(parts))
    group = [*WINDOW, *total.by]
    return single_batch(together.group_by(group).agg(_merged(total)).sort(group).to_arrow())


def total_schema(total: Total, feed: Feed) -> pa.Schema:
    """Return the columns of a total's table: window, groups, measures (a mean as sum and count)."""
    names = list(dict.fromkeys(total.columns()))
    empty = pl.DataFrame(
        schema={
            "site": pl.String,
            "business_date": pl.Date,
            **{name: polars_type(feed.payload.field(name).type) for name in names},
        }
    )
    schema: pa.Schema = (
        empty.group_by(*WINDOW, *total.by).agg(_measured(total, feed)).to_arrow().schema
    )
    return schema


def _measured(total: Total, feed: Feed) -> list[pl.Expr]:
    return [
        expression
        for name, measure in total.measures.items()
        for expression in _of_rows(name, measure, feed)
    ]


def _of_rows(name: str, measure: Measure, feed: Feed) -> list[pl.Expr]:
    rows = pl.len().cast(pl.Int64)
    if measure.column is None:
        return [rows.alias(name)]
    column = pl.col(measure.column)
    if measure.function == "count":
        return [column.count().cast(pl.Int64).alias(name)]
    if measure.function in ("min", "max"):
        return [getattr(column, measure.function)().alias(name)]
    summed = column.cast(_wide(feed.payload.field(measure.column).type)).sum()
    if measure.function == "sum":
        return [summed.alias(name)]
    return [summed.alias(f"{name}_sum"), column.count().cast(pl.Int64).alias(f"{name}_count")]


def _wide(kind: pa.DataType) -> pl.DataType:
    """Return the type in which many values of a type are summed."""
    if pa.types.is_decimal(kind):
        return pl.Decimal(38, kind.scale)
    return pl.Float64() if pa.types.is_floating(kind) else pl.Int64()


def _merged(total: Total) -> list[pl.Expr]:
    expressions = []
    for name, measure in total.measures.items():
        if measure.function == "mean":
            expressions += [pl.col(f"{name}_sum").sum(), pl.col(f"{name}_count").sum()]
        elif measure.function in ("min", "max"):
            expressions.append(getattr(pl.col(name), measure.function)())
        else:
            expressions.append(pl.col(name).sum())
    return expressions
