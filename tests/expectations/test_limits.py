from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from judging import SCHEMA, Judge, written

from isopach.expectations.limits import NOT_EVALUATED, cannot_evaluate
from isopach.feeds.suites import Expectation, kinds

DAY, NOON = date(2026, 1, 1), datetime(2026, 1, 1, 12, tzinfo=UTC)
SAMPLE: dict[str, list[Any]] = {
    "text": ["a", "b", None],
    "flag": [True, False, None],
    "small": [1, 2, None],
    "whole": [1, 2**60, None],
    "float": [1.0, 2.5, None],
    "price": [Decimal("0.10"), Decimal("2.00"), None],
    "day": [DAY, DAY + timedelta(1), None],
    "at": [NOON, NOON + timedelta(1), None],
}
BOUNDS = {"day": "2026-01-01", "at": "2026-01-01T12:00:00+00:00"}
ABOUT_ONE_COLUMN = sorted(
    name
    for name, kind in kinds().items()
    if "column" in kind["required"]
    and not {"type_", "json_schema", "strftime_format", "like_pattern", "like_pattern_list",
             "partition_object"} & set(kind["kwargs"])
    and not any(word in name for word in ("regex", "length", "exist", "type_list", "json"))
)  # fmt: skip


def sensible(kind: str, column: str) -> dict[str, Any]:
    low = 0 if re.search("stdev|count|proportion", kind) else BOUNDS.get(column, 0)
    possible = {
        "value_set": [written(value) for value in SAMPLE[column][:2]],
        "min_value": low,
        "threshold": 3,
        "double_sided": True,
        "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[low, None]]},
        "method": "iqr",
    }
    known = kinds()[kind]["kwargs"]
    return {"column": column} | {name: v for name, v in possible.items() if name in known}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ABOUT_ONE_COLUMN)
def test_what_great_expectations_cannot_evaluate_is_known(kind: str, judge: Judge) -> None:
    table = pa.table({name: pa.array(SAMPLE[name], SCHEMA.field(name).type) for name in SAMPLE})
    for column in SAMPLE:
        one = Expectation(type=kind, kwargs=sensible(kind, column))
        raised = judge.result(one, table).exception_info.get("raised_exception") is not False
        assert raised == bool(cannot_evaluate(one, SCHEMA)), (column, kind)


def test_all_that_is_said_not_to_be_evaluated_is_tried() -> None:
    assert set(NOT_EVALUATED) <= set(ABOUT_ONE_COLUMN)
