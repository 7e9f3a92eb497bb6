from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judging import Judge

from isopach.expectations.compiling import compiled
from isopach.expectations.profiling import outward, propose, sensitive
from isopach.feeds.feed import Feed
from isopach.feeds.suites import Suite, load_suite, suite_columns

FEED = Feed.model_validate(
    {
        "feed": "visits",
        "columns": {
            "id": {"type": "string", "required": True},
            "ward": {"type": "string", "required": True},
            "at": {"type": "timestamp", "required": True},
            "kind": "string",
            "patient": {"type": "string", "sensitive": True},
            "age": {"type": "int32", "sensitive": True},
            "count": "int64",
            "weight": "float64",
            "price": "decimal(10,2)",
            "paid": "boolean",
            "day": "date",
        },
        "derive": {"total": "count * price", "initial": "left(patient, 1)"},
        "site": "ward",
        "key": ["id"],
        "event_time": "at",
    }
)
SITE_DAYS = [(site, date(2026, 3, day)) for site in "AB" for day in (7, 8)]
FLOATS = st.floats(-1e6, 1e6) | st.sampled_from([float("nan"), 0.1, 0.3, -0.0, float("inf"), 1e300])
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "place": st.sampled_from(SITE_DAYS),
            "id": st.text(max_size=3),
            "kind": st.sampled_from(["in", "out", None]),
            "patient": st.sampled_from(["Ann Onym", "Bo Body", None]),
            "age": st.integers(0, 120) | st.none(),
            "count": st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1) | st.none(),
            "weight": FLOATS | st.none(),
            "price": st.integers(-(10**9), 10**9).map(lambda n: Decimal(n).scaleb(-2)) | st.none(),
            "paid": st.booleans() | st.none(),
        }
    ),
    min_size=1,
    max_size=20,
)


def frame(records: list[dict[str, Any]]) -> pl.DataFrame:
    full = [
        {
            **{name: record.get(name) for name in FEED.columns},
            "ward": record["place"][0],
            "at": datetime(2026, 3, 7, tzinfo=UTC),
            "day": record["place"][1],
            "total": None
            if record["count"] is None or record["price"] is None
            else Decimal(record["count"] % 7) * record["price"],
            "initial": record["patient"] and record["patient"][0],
            "site": record["place"][0],
            "business_date": record["place"][1],
        }
        for record in records
    ]
    types = pl.from_arrow(FEED.payload.empty_table())
    assert isinstance(types, pl.DataFrame)
    return pl.DataFrame(
        full, schema={**types.schema, "site": pl.String(), "business_date": pl.Date()}
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(RECORDS)
def test_a_proposed_suite_holds_for_what_it_was_made_from(
    judge: Judge, records: list[dict[str, Any]]
) -> None:
    rows = frame(records)
    suite = propose("visits", rows, FEED)
    results = judge.results(suite.expectations, rows, FEED.payload)
    assert not [result for result in results if not result.success]
    assert not suite.problems(suite_columns(FEED.payload))
    for one in suite.expectations:
        found = compiled(one, FEED.payload)
        if found is not None:
            assert not rows.select(found.failing.any()).item()
    assert suite == propose("visits", rows.lazy(), FEED)
    assert Suite.model_validate_json(suite.model_dump_json()) == suite


def many() -> pl.DataFrame:
    return frame(
        [
            {
                "place": SITE_DAYS[n % 4],
                "id": f"id{n}",
                "kind": "in" if n % 2 else "out",
                "patient": None if n == 7 else f"Patient {n % 3}",
                "age": 37,
                "count": 1 + n % 9,
                "weight": 0.5 + n % 5,
                "price": Decimal("1.25"),
                "paid": True,
            }
            for n in range(200)
        ]
    )


def test_what_is_proposed(tmp_path: Path) -> None:
    suite = propose("visits", many(), FEED)
    proposed = {label: (one.kwargs, one.severity, one.meta) for label, one in suite.named.items()}
    assert proposed["expect_column_values_to_be_in_set(kind)"] == (
        {"column": "kind", "value_set": ["in", "out"]},
        "warning",
        {},
    )
    assert proposed["expect_column_values_to_be_between(count)"] == (
        {"column": "count", "min_value": 1, "max_value": 9},
        "warning",
        {},
    )
    assert proposed["expect_column_value_lengths_to_be_between(id)"] == (
        {"column": "id", "min_value": 1, "max_value": 10},
        "critical",
        {},
    )
    assert proposed["expect_column_value_lengths_to_be_between(patient)"][2] == {
        "may_be_empty": True
    }
    assert proposed["expect_column_mean_to_be_between(weight)"][2] == {"grain": "run"}
    assert "expect_column_values_to_not_be_null(id)" not in proposed
    assert "expect_column_values_to_not_be_null(count)" in proposed
    assert "expect_column_values_to_be_in_set(ward)" not in proposed
    path = tmp_path / "visits.json"
    path.write_text(suite.model_dump_json(exclude_defaults=True))
    assert load_suite(path) == suite


def test_sensitive_values_are_not_told() -> None:
    suite = propose("visits", many(), FEED)
    assert sensitive(FEED) == {"patient", "age", "initial"}
    assert {one.type for one in suite.expectations if {*one.columns} & sensitive(FEED)} == {
        "expect_column_value_lengths_to_be_between",
        "expect_column_values_to_not_be_null",
    }
    assert "Patient" not in suite.model_dump_json()
    assert "37" not in suite.model_dump_json()


def test_no_rows_propose_nothing() -> None:
    with pytest.raises(ValueError, match="suite visits: no rows"):
        propose("visits", many().clear(), FEED)


@given(st.floats(-1e99, 1e99) | st.integers(-(2**63), 2**63 - 1))
def test_bounds_are_rounded_outward(value: float) -> None:
    low, high = outward(value, "ROUND_FLOOR"), outward(value, "ROUND_CEILING")
    assert low <= value <= high
    assert float(low) == low
    assert high - low <= abs(value) / 9 + 1e-300
