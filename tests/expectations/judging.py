"""A schema of all types, and Great Expectations as the judge of rows in it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa

from isopach.expectations.frames import to_kwargs, to_pandas
from isopach.expectations.gx import great_expectations
from isopach.feeds.suites import Expectation

SCHEMA = pa.schema(
    {
        "text": pa.large_string(),
        "text2": pa.large_string(),
        "coded": pa.dictionary(pa.int32(), pa.large_string()),
        "flag": pa.bool_(),
        "flag2": pa.bool_(),
        "small": pa.int32(),
        "small2": pa.int32(),
        "whole": pa.int64(),
        "whole2": pa.int64(),
        "float": pa.float64(),
        "float2": pa.float64(),
        "price": pa.decimal128(10, 2),
        "cost": pa.decimal128(38, 6),
        "day": pa.date32(),
        "day2": pa.date32(),
        "at": pa.timestamp("us", "UTC"),
        "at2": pa.timestamp("us", "UTC"),
    }
)


class Judge:
    """Great Expectations over one frame after another."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # pyspark, which it imports where it is installed, uses what is deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.library = great_expectations()
            context = self.library.get_context(mode="ephemeral")
        asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
        self.batches = asset.add_batch_definition_whole_dataframe("rows")

    def results(
        self, expectations: Iterable[Expectation], rows: pl.DataFrame, schema: pa.Schema
    ) -> list[Any]:
        plain = [{"type": one.type, "kwargs": to_kwargs(one, schema)} for one in expectations]
        suite = self.library.ExpectationSuite(name="suite", expectations=plain)
        batch = self.batches.get_batch({"dataframe": to_pandas(rows)})
        found = batch.validate(suite, result_format={"result_format": "COMPLETE"})
        return list(found.results)

    def result(self, one: Expectation, table: pa.Table) -> Any:
        rows = pl.from_arrow(table)
        assert isinstance(rows, pl.DataFrame)
        return self.results([one], rows, SCHEMA)[0]


def written(value: Any) -> Any:
    """Return a value as a suite's JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(timezone(timedelta(hours=1))).isoformat() if 2 < value.year < 9998 \
            else value.isoformat()  # fmt: skip
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value
