"""Rows as Great Expectations is given them, and the arguments that go with them.

All columns keep the null semantics of numpy: what is compared with a missing value is not met.
Nullable types of pandas and Arrow give a third answer there, on which Great Expectations raises
(`boolean value of NA is ambiguous`), and Arrow's dates and timestamps take it seconds to hash.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa

from isopach.expectations.operands import constant
from isopach.feeds.suites import Expectation

EXACT = 2**53 - 1
"""Whole numbers up to here are exact as floats, in sums with a bound too."""


def to_pandas(rows: pl.DataFrame) -> pd.DataFrame:
    """Return rows in the types with which Great Expectations is right.

    Give it the columns alone that a suite names: it hashes all that it is given.
    """
    columns = {name: _column(rows[name]) for name in rows.columns}
    return pd.DataFrame(columns, index=pd.RangeIndex(rows.height), copy=False)


def to_spark(rows: Any) -> Any:
    """Return a Spark frame in the types with which Great Expectations is right; see `to_pandas`."""
    for name, kind in rows.dtypes:
        if kind.startswith("decimal"):
            rows = rows.withColumn(name, rows[name].cast("double"))
    return rows


def to_kwargs(one: Expectation, schema: pa.Schema) -> dict[str, Any]:
    """Return an expectation's arguments in the types of its columns.

    Great Expectations reads bounds as dates, but not the values of sets: it would look for texts
    among dates and find none. It cuts bounds that are datetimes down to dates, yet reads texts.
    """
    kwargs = dict(one.kwargs)
    for name in ("min_value", "max_value"):
        if isinstance(kwargs.get(name), datetime):
            kwargs[name] = kwargs[name].isoformat()
    if isinstance(kwargs.get("value_set"), list) and one.columns:
        kwargs["value_set"] = [
            _timely("value_set", value, one.columns[0], schema) for value in kwargs["value_set"]
        ]
    if isinstance(kwargs.get("value_pairs_set"), list):
        kwargs["value_pairs_set"] = [
            [
                _timely("value_pairs_set", value, name, schema)
                for name, value in zip(one.columns, pair, strict=True)
            ]
            for pair in kwargs["value_pairs_set"]
        ]
    return kwargs


def _timely(kwarg: str, value: Any, column: str, schema: pa.Schema) -> Any:
    kind = schema.field(column).type
    if value is None or not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        return value
    return constant(kwarg, value, column, schema)


def _column(values: pl.Series) -> pd.Series:
    kind = values.dtype
    if isinstance(kind, pl.Decimal):
        # As Decimal, 0.10 is less than the 0.1 of JSON, which is binary; and each is an object.
        return values.cast(pl.Float64).to_pandas()
    if isinstance(kind, pl.Categorical | pl.Enum):
        return values.cast(pl.String).to_pandas()
    if kind == pl.Date:
        # Bounds are read as dates, which pandas refuses to compare with its timestamps.
        return pd.Series(values.to_list(), dtype=object)
    if kind.is_integer():
        return _whole(values.cast(pl.Int64))
    if kind == pl.Boolean and values.null_count():
        return _objects(values)
    return values.to_pandas()


def _whole(values: pl.Series) -> pd.Series:
    """Return whole numbers as such, as floats where some are missing, or as objects if large.

    Bounds are floats in Great Expectations, and numpy would round the large ones to compare.
    """
    low, high = values.min(), values.max()
    if low is None or (low >= -EXACT and high <= EXACT):  # type: ignore[operator]
        return values.to_pandas()
    return _objects(values)


def _objects(values: pl.Series) -> pd.Series:
    """Return values as objects, NaN for null: nothing compares with None."""
    return pd.Series([float("nan") if v is None else v for v in values.to_list()], dtype=object)
