"""What Great Expectations cannot evaluate on the rows of `frames.to_pandas`: it raises."""

from __future__ import annotations

import pyarrow as pa

from isopach.expectations.operands import kind_of
from isopach.feeds.suites import Expectation

ORDER = ("text",)
ARITHMETIC = ("text", "date")
SPREAD = ("text", "date", "timestamp")
PARSED = ("boolean", "integer", "number", "date", "timestamp")

NOT_EVALUATED = {
    "expect_column_max_to_be_between": ORDER,
    "expect_column_mean_to_be_between": ARITHMETIC,
    "expect_column_median_to_be_between": ARITHMETIC,
    "expect_column_min_to_be_between": ORDER,
    "expect_column_quantile_values_to_be_between": SPREAD,
    "expect_column_stdev_to_be_between": SPREAD,
    "expect_column_sum_to_be_between": SPREAD,
    "expect_column_value_z_scores_to_be_less_than": ARITHMETIC,
    "expect_column_values_to_be_between": ORDER,
    "expect_column_values_to_be_dateutil_parseable": PARSED,
    "expect_column_values_to_be_decreasing": ORDER,
    "expect_column_values_to_be_increasing": ORDER,
    "expect_column_values_to_not_be_outliers": SPREAD,
}
"""Kinds of columns by type of expectation."""


def cannot_evaluate(one: Expectation, schema: pa.Schema) -> str | None:
    """Return why Great Expectations would raise for want of another type of column, if it would."""
    if "like_pattern" in one.type:
        return f"{one.type} is not available on pandas"
    kinds = NOT_EVALUATED.get(one.type, ())
    for column in one.columns:
        if column in schema.names and kind_of(column, schema) in kinds:
            found = schema.field(column).type
            return f"{one.type} cannot be evaluated on {column!r}, which is {found}"
    return None
