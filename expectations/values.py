"""Compile expectations about the values of one column."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa

from isopach.expectations.masks import Compiled
from isopach.expectations.operands import (
    INT64,
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
from isopach.expectations.regexes import to_rust
from isopach.feeds.suites import Expectation

EVERY_ROW = pl.lit(True)


def _met(one: Expectation, schema: pa.Schema, met: Callable[[pl.Expr], pl.Expr]) -> Compiled:
    """Compile what the values of one column must meet."""
    (column,) = one.columns
    evaluated = present(column, schema)
    return Compiled(evaluated & ~met(operand(column, schema)).fill_null(True), evaluated)


def _not_null(one: Expectation, schema: pa.Schema) -> Compiled:
    return Compiled(~present(one.columns[0], schema), EVERY_ROW)


def _null(one: Expectation, schema: pa.Schema) -> Compiled:
    return Compiled(present(one.columns[0], schema), EVERY_ROW)


def _between(one: Expectation, schema: pa.Schema) -> Compiled:
    require(one, schema, "integer", "number", "date", "timestamp")
    column = one.columns[0]
    kind = kind_of(column, schema)

    def checked(kwarg: str, value: Any) -> Any:
        if kind in ("date", "timestamp"):
            return constant(kwarg, value, column, schema)
        return number(kwarg, value)

    low, high = _bounds(one, checked)
    met = _whole_within if kind == "integer" else _within
    return _met(one, schema, lambda value: met(value, low, high, one))


def _bounds(one: Expectation, checked: Callable[[str, Any], Any]) -> tuple[Any, Any]:
    """Return the bounds, of which one may be None."""
    low, high = (
        None if one.kwargs.get(kwarg) is None else checked(kwarg, one.kwargs[kwarg])
        for kwarg in ("min_value", "max_value")
    )
    if low is None and high is None:
        raise wrong("min_value", None, "and max_value None: one of them must be given")
    if low is not None and high is not None and low > high:
        raise wrong("min_value", one.kwargs["min_value"], f"is above max_value {high!r}")
    return low, high


def _within(value: pl.Expr, low: Any, high: Any, one: Expectation) -> pl.Expr:
    met = EVERY_ROW
    if low is not None:
        met &= value > low if flag(one, "strict_min") else value >= low
    if high is not None:
        met &= value < high if flag(one, "strict_max") else value <= high
    return met


def _whole_within(value: pl.Expr, low: Any, high: Any, one: Expectation) -> pl.Expr:
    """Compare whole numbers with bounds that are floats, without rounding either."""
    met = EVERY_ROW
    if low is not None:
        met &= value >= _whole(math.floor(low) + 1 if flag(one, "strict_min") else math.ceil(low))
    if high is not None:
        met &= value <= _whole(math.ceil(high) - 1 if flag(one, "strict_max") else math.floor(high))
    return met


def _whole(bound: int) -> pl.Expr:
    if bound in INT64:
        return pl.lit(bound, pl.Int64)
    return pl.lit(2**64 if bound > 0 else -(2**64), pl.Int128)


def _in_set(one: Expectation, schema: pa.Schema) -> Compiled:
    column = one.columns[0]
    found = [constant("value_set", v, column, schema) for v in several(one, "value_set")]
    kind = pl.Float64() if kind_of(column, schema) == "number" else None
    values = pl.Series(found, dtype=kind)
    return _met(one, schema, lambda value: value.is_in(values.implode()))


def _not_in_set(one: Expectation, schema: pa.Schema) -> Compiled:
    inside = _in_set(one, schema)
    return Compiled(inside.evaluated & ~inside.failing, inside.evaluated)


def _pattern(kwarg: str, value: Any) -> str:
    if not isinstance(value, str):
        raise wrong(kwarg, value, "is not a regular expression")
    try:
        return to_rust(value)
    except ValueError as error:
        raise wrong(kwarg, value, str(error)) from error


def _regex(one: Expectation, schema: pa.Schema) -> Compiled:
    require(one, schema, "text")
    pattern = _pattern("regex", one.kwargs.get("regex", "(?s).*"))
    return _met(one, schema, lambda value: value.str.contains(pattern))


def _not_regex(one: Expectation, schema: pa.Schema) -> Compiled:
    require(one, schema, "text")
    pattern = _pattern("regex", one.kwargs.get("regex"))
    return _met(one, schema, lambda value: ~value.str.contains(pattern))


def _regex_list(one: Expectation, schema: pa.Schema) -> Compiled:
    require(one, schema, "text")
    patterns = [_pattern("regex_list", pattern) for pattern in several(one, "regex_list")]
    join = {"any": pl.any_horizontal, "all": pl.all_horizontal}[
        choice(one, "match_on", "any", "all")
    ]
    return _met(one, schema, lambda value: join(value.str.contains(p) for p in patterns))


def _not_regex_list(one: Expectation, schema: pa.Schema) -> Compiled:
    require(one, schema, "text")
    patterns = [_pattern("regex_list", pattern) for pattern in several(one, "regex_list")]
    return _met(
        one, schema, lambda value: ~pl.any_horizontal(value.str.contains(p) for p in patterns)
    )


def _length(kwarg: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise wrong(kwarg, value, "is not a whole number of characters")
    return value


def _lengths(one: Expectation, schema: pa.Schema) -> Compiled:
    require(one, schema, "text")
    low, high = _bounds(one, _length)
    return _met(one, schema, lambda value: _within(value.str.len_chars(), low, high, one))


def _length_equal(one: Expectation, schema: pa.Schema) -> Compiled:
    require(one, schema, "text")
    length = _length("value", one.kwargs.get("value"))
    return _met(one, schema, lambda value: value.str.len_chars() == length)


COMPILERS: dict[str, Callable[[Expectation, pa.Schema], Compiled]] = {
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_value_lengths_to_equal": _length_equal,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_match_regex": _regex,
    "expect_column_values_to_match_regex_list": _regex_list,
    "expect_column_values_to_not_be_in_set": _not_in_set,
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_not_match_regex": _not_regex,
    "expect_column_values_to_not_match_regex_list": _not_regex_list,
}
