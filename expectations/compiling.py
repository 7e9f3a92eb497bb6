"""Compile expectations of Great Expectations into masks over rows that say the same."""

from __future__ import annotations

import pyarrow as pa

from isopach.expectations import across, values
from isopach.expectations.masks import Compiled
from isopach.expectations.operands import require
from isopach.expectations.regexes import Refused
from isopach.feeds.suites import Expectation

COMPILERS = values.COMPILERS | across.COMPILERS
"""Functions that compile an expectation, by its type."""

OTHER_ROWS = "looks at other rows"
PYTHON = "runs a parser of Python on each value"
SCHEMA = "is about the column's type, which the feed already holds to"
NOT_COMPILED = {
    "expect_column_value_z_scores_to_be_less_than": OTHER_ROWS,
    "expect_column_values_to_be_dateutil_parseable": PYTHON,
    "expect_column_values_to_be_decreasing": OTHER_ROWS,
    "expect_column_values_to_be_in_type_list": SCHEMA,
    "expect_column_values_to_be_increasing": OTHER_ROWS,
    "expect_column_values_to_be_json_parseable": PYTHON,
    "expect_column_values_to_be_of_type": SCHEMA,
    "expect_column_values_to_be_unique": OTHER_ROWS,
    "expect_column_values_to_match_json_schema": PYTHON,
    "expect_column_values_to_match_strftime_format": PYTHON,
    "expect_column_values_to_not_be_outliers": OTHER_ROWS,
    "expect_compound_columns_to_be_unique": OTHER_ROWS,
}
"""Why the others about rows are left to Great Expectations."""


def compiled(one: Expectation, schema: pa.Schema) -> Compiled | None:
    """Return an expectation as masks, or None if they could differ from Great Expectations.

    Raises ValueError where an argument is wrong, or Great Expectations has no right answer.
    """
    found = _compile(one, schema)
    return found if isinstance(found, Compiled) else None


def why_not(one: Expectation, schema: pa.Schema) -> str | None:
    """Return why an expectation is not compiled; None if it is. Raises as `compiled` does."""
    found = _compile(one, schema)
    return found if isinstance(found, str) else None


def _compile(one: Expectation, schema: pa.Schema) -> Compiled | str:
    if not one.by_row:
        return "is not about single rows"
    if "like_pattern" in one.type:
        raise ValueError(f"{one.type} is not evaluated on pandas: write a regular expression")
    if NOT_COMPILED.get(one.type) == PYTHON:
        require(one, schema, "text")
    if NOT_COMPILED.get(one.type) == SCHEMA:
        # What whole numbers and booleans are in pandas depends on whether any is missing.
        require(one, schema, "text", "number", "timestamp")
    if one.kwargs.get("row_condition") is not None:
        return "has a row_condition"
    if one.type in NOT_COMPILED:
        return NOT_COMPILED[one.type]
    try:
        return COMPILERS[one.type](one, schema)
    except Refused as refused:
        return str(refused)
