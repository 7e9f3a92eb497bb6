"""Sightings: how many rows of each window do not meet an expectation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa

from isopach.expectations.compiling import compiled
from isopach.expectations.frames import to_pandas
from isopach.expectations.validating import Found, validate
from isopach.feeds.suites import Expectation, Suite

WINDOW = ["site", "business_date"]
Window = tuple[str, date]

ACROSS = {
    "expect_column_value_z_scores_to_be_less_than",
    "expect_column_values_to_be_decreasing",
    "expect_column_values_to_be_increasing",
    "expect_column_values_to_be_unique",
    "expect_column_values_to_not_be_outliers",
}
"""Expectations on rows that depend on the other rows of the table."""


@dataclass
class Sighting:
    """Rows with a value to look at, and those of them that do not meet an expectation."""

    unexpected: int = 0
    evaluated: int = 0

    def add(self, unexpected: int, evaluated: int) -> None:
        self.unexpected += unexpected
        self.evaluated += evaluated


@dataclass
class Sightings:
    """Sightings by label and window, and what could not be looked at, by label."""

    by_label: defaultdict[str, defaultdict[Window, Sighting]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Sighting))
    )
    errors: dict[str, str] = field(default_factory=dict)

    def merge(self, others: Iterable[Sightings]) -> Sightings:
        """Take in those of other rows."""
        for other in others:
            self.errors |= other.errors
            for label, windows in other.by_label.items():
                for window, seen in windows.items():
                    self.by_label[label][window].add(seen.unexpected, seen.evaluated)
        return self


def evaluated(one: Expectation, schema: pa.Schema) -> pl.Expr | None:
    """Return which rows have a value to look at; None where only the library can tell.

    Then, and where rows depend on each other, an expectation needs all rows of a window at once.
    """
    if not one.by_row or one.type in ACROSS:
        return None
    exact = compiled(one, schema)
    if exact is not None:
        return exact.evaluated
    column = one.kwargs.get("column")
    if column is None or one.kwargs.get("row_condition"):
        return None
    kind = schema.field(column).type
    there = pl.col(column).is_not_null()
    return there & pl.col(column).is_not_nan() if pa.types.is_floating(kind) else there


def by_rows(suite: Suite, schema: pa.Schema) -> dict[str, Expectation]:
    """Return the expectations that may be looked at in any batches of rows."""
    return {
        label: one
        for label, one in suite.named.items()
        if one.by_row and evaluated(one, schema) is not None
    }


def sightings(rows: pl.DataFrame, suite: Suite, schema: pa.Schema) -> Sightings:
    """Return what Great Expectations finds in rows of any windows, for each of these.

    Args:
        schema: of the rows' columns, as declared.
    """
    expectations = by_rows(suite, schema)
    if not expectations or rows.is_empty():
        return Sightings()
    looked_at = {label: evaluated(one, schema) for label, one in expectations.items()}
    columns = sorted({name for one in expectations.values() for name in one.columns})
    windows = rows.select(WINDOW).unique(maintain_order=True)
    numbered = rows.join(windows.with_row_index("_window"), on=WINDOW, maintain_order="left")
    values = numbered.group_by("_window").agg(
        expression.sum().alias(label)
        for label, expression in looked_at.items()
        if expression is not None
    )
    codes = numbered["_window"].to_numpy()
    found = validate(to_pandas(rows.select(columns)), expectations, schema, with_rows=True)
    return _counted(found, values.sort("_window"), codes, windows.rows())


def _counted(
    found: Mapping[str, Found], values: pl.DataFrame, codes: np.ndarray, windows: list[Window]
) -> Sightings:
    result = Sightings()
    for label, one in found.items():
        if one.error is not None:
            result.errors[label] = one.error
            continue
        failing = np.bincount(codes[one.rows], minlength=len(windows)).tolist()
        for window, unexpected, there in zip(windows, failing, values[label], strict=True):
            result.by_label[label][window].add(unexpected, there)
    return result
