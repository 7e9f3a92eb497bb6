"""Compile expectations about several columns of a row."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import polars as pl
import pyarrow as pa

from isopach.expectations.masks import Compiled
from isopach.expectations.operands import (
    choice,
    constant,
    flag,
    kind_of,
    number,
    operand,
    present,
    require,
    several,
    wrong,
)
from isopach.expectations.regexes import Refused
from isopach.feeds.suites import Expectation

PAIR = ("both_values_are_missing", "either_value_is_missing", "neither")
LIST = ("all_values_are_missing", "any_value_is_missing", "never")
MOST_ADDED = 7
"""numpy adds up to this many floats in turn, and more of them in another order."""


def _across(
    one: Expectation, schema: pa.Schema, ignoring: tuple[str, ...], met: pl.Expr
) -> Compiled:
    """Compile what rows must meet, but for those whose values are missing as `ignore_row_if` says.

    What is compared with a missing value is not met: `met` may be null there.
    """
    ignored = choice(one, "ignore_row_if", *ignoring)
    filled = [present(column, schema) for column in one.columns]
    evaluated = {
        ignoring[0]: pl.any_horizontal(filled),
        ignoring[1]: pl.all_horizontal(filled),
        ignoring[2]: pl.lit(True),
    }[ignored]
    return Compiled(evaluated & ~met.fill_null(False), evaluated)


def _comparable(one: Expectation, schema: pa.Schema) -> list[pl.Expr]:
    """Return the columns compared, which must be of one kind; null where a value is missing."""
    kinds = {kind_of(column, schema) for column in one.columns}
    _at_least_two(one)
    if len({"number" if kind == "integer" else kind for kind in kinds}) > 1:
        types = ", ".join(f"{name} {schema.field(name).type}" for name in one.columns)
        raise ValueError(f"kwargs: columns are of types that do not compare: {types}")
    if kinds == {"integer", "number"} and any(
        schema.field(name).type == pa.int64() for name in one.columns
    ):
        raise Refused(
            "compares int64 with floats or decimals, of which large ones would be rounded"
        )
    return [_or_null(name, schema) for name in one.columns]


def _at_least_two(one: Expectation) -> None:
    if len(one.columns) < 2:
        raise ValueError(f"kwargs: {one.type} needs two columns or more, not {one.columns}")


def _or_null(column: str, schema: pa.Schema) -> pl.Expr:
    return pl.when(present(column, schema)).then(operand(column, schema))


def greater(one: Expectation, schema: pa.Schema) -> Compiled:
    """Compile that A is greater than B."""
    require(one, schema, "text", "integer", "number", "date", "timestamp")
    a, b = _comparable(one, schema)
    return _across(one, schema, PAIR, a >= b if flag(one, "or_equal") else a > b)


def pair_equal(one: Expectation, schema: pa.Schema) -> Compiled:
    """Compile that A is B."""
    a, b = _comparable(one, schema)
    return _across(one, schema, PAIR, a == b)


def pair_in_set(one: Expectation, schema: pa.Schema) -> Compiled:
    """Compile that A and B are one of some pairs, in which null stands for a missing value."""
    pairs = several(one, "value_pairs_set")
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise wrong("value_pairs_set", pair, "is not a pair")
    met = pl.any_horizontal(
        pl.all_horizontal(
            _is("value_pairs_set", value, column, schema)
            for value, column in zip(pair, one.columns, strict=True)
        )
        for pair in pairs
    )
    return _across(one, schema, PAIR, met)


def _is(kwarg: str, value: Any, column: str, schema: pa.Schema) -> pl.Expr:
    if value is None:
        return ~present(column, schema)
    equal = operand(column, schema) == pl.lit(constant(kwarg, value, column, schema))
    return equal.fill_null(False)


def all_equal(one: Expectation, schema: pa.Schema) -> Compiled:
    """Compile that all columns are the same; missing values are the same as each other."""
    values = _comparable(one, schema)
    return _across(
        one, schema, LIST, pl.all_horizontal(a.eq_missing(b) for a, b in pairwise(values))
    )


def all_different(one: Expectation, schema: pa.Schema) -> Compiled:
    """Compile that no two columns are the same; missing values are the same as each other."""
    values = _comparable(one, schema)
    return _across(
        one, schema, LIST, pl.all_horizontal(a.ne_missing(b) for a, b in combinations(values, 2))
    )


def added(one: Expectation, schema: pa.Schema) -> Compiled:
    """Compile that the columns add up to a total."""
    require(one, schema, "integer", "number")
    _at_least_two(one)
    total = number("sum_total", one.kwargs.get("sum_total"))
    types = [schema.field(name).type for name in one.columns]
    if any(pa.types.is_decimal(kind) for kind in types):
        raise ValueError(
            f"kwargs.column_list: {one.columns} has decimals, which Great Expectations adds as "
            "binary fractions; derive a column that is their sum and expect its values"
        )
    if pa.int64() in types:
        raise Refused("adds int64, of which large sums would be rounded")
    if len(types) > MOST_ADDED:
        raise Refused(f"adds more than {MOST_ADDED} columns, whose order matters")
    sums = pl.lit(0.0)
    for name in one.columns:
        sums = sums + _or_null(name, schema)
    met = pl.when(sums.is_not_nan()).then(sums == total)
    return _across(one, schema, LIST, met)


COMPILERS: dict[str, Callable[[Expectation, pa.Schema], Compiled]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": greater,
    "expect_column_pair_values_to_be_equal": pair_equal,
    "expect_column_pair_values_to_be_in_set": pair_in_set,
    "expect_multicolumn_sum_to_equal": added,
    "expect_multicolumn_values_to_be_equal": all_equal,
    "expect_select_column_values_to_be_unique_within_record": all_different,
}
