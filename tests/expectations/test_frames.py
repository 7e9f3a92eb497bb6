from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest
from judging import SCHEMA, Judge

from isopach.expectations.frames import to_kwargs, to_pandas
from isopach.feeds.suites import Expectation

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROWS = pl.DataFrame(
    {
        "at": pl.Series([NOON, NOON.replace(day=2), None], dtype=pl.Datetime("us", "UTC")),
        "day": [date(2026, 1, 1), date(2026, 1, 2), None],
        "whole": [2**53 + 1, 2**53, None],
        "price": pl.Series(["0.10", "0.09", None]).str.to_decimal(scale=2).cast(pl.Decimal(10, 2)),
        "flag": [True, False, None],
    }
)
FIRST_ALONE = [
    ("in_set", {"column": "day", "value_set": ["2026-01-01"]}),
    ("in_set", {"column": "at", "value_set": ["2026-01-01T13:00:00+01:00"]}),
    ("be_between", {"column": "at", "max_value": NOON}),
    ("be_between", {"column": "day", "max_value": date(2026, 1, 1)}),
    ("be_between", {"column": "price", "min_value": 0.1}),
    ("in_set", {"column": "price", "value_set": [0.1]}),
    ("be_between", {"column": "whole", "min_value": 2**53, "strict_min": True}),
    ("in_set", {"column": "whole", "value_set": [2**53 + 1]}),
    ("in_set", {"column": "flag", "value_set": [True]}),
]


@pytest.mark.parametrize(("kind", "kwargs"), FIRST_ALONE)
def test_values_of_all_types_are_told_apart(
    judge: Judge, kind: str, kwargs: dict[str, object]
) -> None:
    name = {"in_set": "expect_column_values_to_be_in_set"}.get(
        kind, "expect_column_values_to_be_between"
    )
    (result,) = judge.results([Expectation(type=name, kwargs=kwargs)], ROWS, SCHEMA)
    assert result.exception_info["raised_exception"] is False
    assert result.result["unexpected_index_list"] == [1]
    assert result.result["missing_count"] == 1


def test_what_is_given_is_left_alone() -> None:
    one = Expectation(
        type="expect_column_values_to_be_in_set", kwargs={"column": "day", "value_set": ["x"]}
    )
    with pytest.raises(ValueError, match="'x' is not date, such as"):
        to_kwargs(one, SCHEMA)
    assert one.kwargs == {"column": "day", "value_set": ["x"]}


def test_no_rows_keep_their_columns() -> None:
    assert to_pandas(ROWS.clear()).shape == (0, 5)
