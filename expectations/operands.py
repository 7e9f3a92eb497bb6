"""Operands of compiled expectations: columns as Great Expectations sees them, and constants."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from isopach.feeds.suites import Expectation

DATE = re.compile(r"\d{4}-\d\d-\d\d")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")
INT64 = range(-(2**63), 2**63)


def kind_of(column: str, schema: pa.Schema) -> str:
    """Return what is compared with what: text, boolean, integer, number, date or timestamp."""
    found = schema.field(column).type
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_boolean(found):
        return "boolean"
    if pa.types.is_integer(found):
        return "integer"
    if pa.types.is_floating(found) or pa.types.is_decimal(found):
        return "number"
    if pa.types.is_date(found):
        return "date"
    return "timestamp" if pa.types.is_timestamp(found) else "text"


def operand(column: str, schema: pa.Schema) -> pl.Expr:
    """Return a column as `frames.to_pandas` gives it: decimals as floats, dictionaries as text."""
    types = {"text": pl.String, "number": pl.Float64, "integer": pl.Int64}
    kind = kind_of(column, schema)
    return pl.col(column).cast(types[kind]) if kind in types else pl.col(column)


def present(column: str, schema: pa.Schema) -> pl.Expr:
    """Return where a column has a value; NaN is none, for pandas."""
    filled = pl.col(column).is_not_null()
    if pa.types.is_floating(schema.field(column).type):
        filled &= pl.col(column).is_not_nan().fill_null(False)
    return filled


def require(one: Expectation, schema: pa.Schema, *kinds: str) -> None:
    """Raise ValueError if a column is of another kind."""
    for column in one.columns:
        if kind_of(column, schema) not in kinds:
            raise ValueError(
                f"kwargs: {column!r} is {schema.field(column).type}; "
                f"{one.type} is for columns of {' or '.join(kinds)}"
            )


def wrong(kwarg: str, value: Any, why: str) -> ValueError:
    """Return the error that names an argument and its value."""
    return ValueError(f"kwargs.{kwarg}: {value!r} {why}")


def constant(kwarg: str, value: Any, column: str, schema: pa.Schema) -> Any:
    """Return a value that can be compared with a column's; raises ValueError if it cannot."""
    kind = kind_of(column, schema)
    right = {
        "text": _text,
        "boolean": _boolean,
        "integer": _integer,
        "number": _number,
        "date": _date,
        "timestamp": _timestamp,
    }[kind](value)
    if right is None:
        example = {
            "date": ", such as '2026-03-08'",
            "timestamp": " with its offset, such as '2026-03-08T02:00:00Z'",
        }.get(kind, "")
        raise wrong(kwarg, value, f"is not {kind}{example}, as column {column!r} is")
    return right


def number(kwarg: str, value: Any) -> float:
    """Return a finite number; raises ValueError where Great Expectations would round it."""
    found = _number(value)
    if found is None:
        exact = isinstance(value, int) and not isinstance(value, bool)
        why = "is rounded to a float by Great Expectations" if exact else "is not a finite number"
        raise wrong(kwarg, value, why)
    return found


def flag(one: Expectation, kwarg: str) -> bool:
    """Return an argument that is true or false, or absent."""
    value = one.kwargs.get(kwarg)
    if value is not None and not isinstance(value, bool):
        raise wrong(kwarg, value, "is not true or false")
    return bool(value)


def choice(one: Expectation, kwarg: str, *allowed: str) -> str:
    """Return an argument that has a few possible values, the first of which is the default."""
    value = one.kwargs.get(kwarg, allowed[0])
    if value not in allowed:
        raise wrong(kwarg, value, f"is not one of {', '.join(allowed)}")
    return str(value)


def several(one: Expectation, kwarg: str) -> list[Any]:
    """Return an argument that is a list of one or more."""
    value = one.kwargs.get(kwarg)
    if not isinstance(value, list) or not value:
        raise wrong(kwarg, value, "is not a list of one or more values")
    return value


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no column can hold
        return None
    return value


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _integer(value: Any) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and value in INT64 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) and found == value else None


def _date(value: Any) -> date | None:
    if isinstance(value, str) and DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return value if type(value) is date else None


def _timestamp(value: Any) -> datetime | None:
    if isinstance(value, str) and TIME.fullmatch(value):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        return None
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return None
