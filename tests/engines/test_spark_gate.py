"""Great Expectations finds the same on Spark as on pandas, through the same function."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from sales_nights import SPARK

from isopach.expectations.frames import to_pandas, to_spark
from isopach.expectations.validating import Found, validate
from isopach.feeds.suites import Expectation

pytestmark = SPARK
ROWS = pl.DataFrame(
    {
        "sku": ["A-1", "b 2", None, "C", ""] * 40,
        "quantity": [1, 0, None, 7, 2000] * 40,
        "price": [Decimal("0.10"), Decimal("-1.00"), None, Decimal("9.99"), Decimal("3.00")] * 40,
        "day": [date(2026, 3, 8), None, date(2026, 3, 9), date(2026, 3, 8), date(2026, 3, 8)] * 40,
    },
    schema_overrides={"quantity": pl.Int32, "price": pl.Decimal(10, 2)},
)
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "between": ("column_values_to_be_between", {"column": "quantity", "min_value": 1}),
    "exact": ("column_values_to_be_between", {"column": "price", "min_value": 0.1}),
    "regex": ("column_values_to_match_regex", {"column": "sku", "regex": "^[A-Z0-9-]+$"}),
    "null": ("column_values_to_not_be_null", {"column": "day", "mostly": 0.8}),
    "unique": ("column_values_to_be_unique", {"column": "sku"}),
    "mean": ("column_mean_to_be_between", {"column": "price", "max_value": 5}),
    "rows": ("table_row_count_to_equal", {"value": 200}),
    "typo": ("column_values_to_be_null", {"column": "skus"}),
}


def test_the_same_is_found_on_spark(spark: Any, tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "rows.parquet")
    asked = {
        label: Expectation(type=f"expect_{kind}", kwargs=kwargs)
        for label, (kind, kwargs) in ASKED.items()
    }
    schema = ROWS.to_arrow().schema
    on_spark = to_spark(spark.read.parquet(str(tmp_path / "rows.parquet")))
    here, there = validate(to_pandas(ROWS), asked, schema), validate(on_spark, asked, schema)
    assert {n: told(one) for n, one in there.items()} == {n: told(one) for n, one in here.items()}
    assert told(here["null"])[:3] == (True, 40, 200)
    assert there["typo"].error
    assert here["typo"].error


def told(found: Found) -> tuple[bool, int | None, int | None, str | None]:
    seen = None if found.observed is None else f"{float(found.observed):.9g}"
    return found.success, found.unexpected, found.evaluated, seen
