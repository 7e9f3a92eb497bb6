from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import apache_beam as beam
import polars as pl
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.feeds.feed import Feed
from isopach.feeds.sites import Site, Sites
from isopach.transforms.batches import TEXT, frame
from isopach.transforms.totals import (
    Totals,
    merge,
    partial_totals,
    total_schema,
    window_totals,
)

DAY = date(2026, 3, 8)
ALL = {
    "rows": "count",
    "priced": {"count": "price"},
    "amount": {"sum": "price"},
    "pieces": {"sum": "count"},
    "weight": {"sum": "ratio"},
    "least": {"min": "price"},
    "most": {"max": "ratio"},
    "first": {"min": "at"},
    "last": {"max": "sku"},
    "any": {"max": "paid"},
    "usual": {"mean": "price"},
    "middle": {"mean": "ratio"},
}
FEED = Feed.model_validate(
    {
        "feed": "till",
        "columns": {
            "id": {"type": "string", "required": True},
            "store": {"type": "string", "required": True},
            "at": {"type": "timestamp", "required": True},
            "sku": "string",
            "count": "int32",
            "price": "decimal(10,2)",
            "ratio": "float64",
            "paid": "boolean",
        },
        "site": "store",
        "key": ["id"],
        "event_time": "at",
        "totals": {
            "all": {"by": [], "measures": ALL},
            "by_sku": {"by": ["sku"], "measures": ALL},
            "by_sku_paid": {"by": ["sku", "paid"], "measures": {"n": "count", "price": "sum"}},
        },
    }
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "site": st.sampled_from(["A", "B"]),
    "business_date": st.sampled_from([DAY, DAY + timedelta(days=1)]),
    "at": st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 9), timezones=st.just(UTC)),
    "sku": st.none() | st.sampled_from(["x", "y", ""]),
    "count": st.none() | st.integers(-(2**31), 2**31 - 1),
    "price": st.none() | st.decimals(-(10**8) + 1, 10**8 - 1, places=2),
    "ratio": st.none() | st.integers(-1000, 1000).map(lambda n: n / 8),  # sums of these are exact
    "paid": st.none() | st.booleans(),
}
ROWS = st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=30)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    fields = [field for field in FEED.payload if field.name in VALUES]
    schema = pa.schema([("site", TEXT), ("business_date", pa.date32()), *fields])
    plain = schema.set(0, pa.field("site", pa.large_string()))
    return pa.Table.from_pylist(rows, plain).cast(schema)


def merged(name: str, *tables: pa.Table) -> dict[tuple[str, date], pa.RecordBatch]:
    """Return a total's merged batch of each window, from partial totals of each table."""
    parts: dict[tuple[str, date], list[pa.RecordBatch]] = {}
    for one in tables:
        for (total, site, day), part in window_totals(one, FEED):
            if total == name:
                parts.setdefault((site, day), []).append(part)
    return {window: merge(found, FEED.totals[name]) for window, found in parts.items()}


def known(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def by_hand(rows: list[dict[str, Any]], by: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the totals of ALL over a window's rows, in plain Python."""
    result = []
    for group in {tuple(row[name] for name in by) for row in rows}:
        chosen = [row for row in rows if tuple(row[name] for name in by) == group]
        column = {name: known([row[name] for row in chosen]) for name in VALUES}
        result.append(
            {
                **dict(zip(by, group, strict=True)),
                "rows": len(chosen),
                "priced": len(column["price"]),
                "amount": sum(column["price"], Decimal(0)),
                "pieces": sum(column["count"]),
                "weight": sum(column["ratio"], 0.0),
                "least": min(column["price"], default=None),
                "most": max(column["ratio"], default=None),
                "first": min(column["at"]),
                "last": max(column["sku"], default=None),
                "any": max(column["paid"], default=None),
                "usual_sum": sum(column["price"], Decimal(0)),
                "usual_count": len(column["price"]),
                "middle_sum": sum(column["ratio"], 0.0),
                "middle_count": len(column["ratio"]),
            }
        )
    return result


@settings(max_examples=100, deadline=None)
@given(ROWS, st.sampled_from(["all", "by_sku"]), st.lists(st.integers(0, 30), max_size=3))
def test_totals_of_any_split_are_those_of_all_rows(
    rows: list[dict[str, Any]], name: str, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    pieces = [table(rows[a:b]) for a, b in pairwise(edges)]
    found = merged(name, *pieces)
    assert set(found) == {(row["site"], row["business_date"]) for row in rows}
    for (site, day), batch in found.items():
        own = [row for row in rows if (row["site"], row["business_date"]) == (site, day)]
        expected = [
            {"site": site, "business_date": day, **one}
            for one in by_hand(own, FEED.totals[name].by)
        ]
        got = batch.to_pylist()
        assert sorted(got, key=repr) == sorted(
            ({name: one[name] for name in batch.schema.names} for one in expected), key=repr
        )


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 30))
def test_order_of_rows_and_parts_does_not_matter(
    rows: list[dict[str, Any]], random: Any, cut: int
) -> None:
    shuffled = random.sample(rows, len(rows))
    first = merged("by_sku_paid", table(rows))
    second = merged("by_sku_paid", table(shuffled[cut:]), table(shuffled[:cut]))
    assert first.keys() == second.keys()
    assert all(first[window].equals(second[window]) for window in first)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30), st.integers(0, 30))
def test_sums_of_any_floats_agree_closely(numbers: list[float], cut: int) -> None:
    rows = [row(ratio=number) for number in numbers]
    (batch,) = merged("all", table(rows[:cut]), table(rows[cut:])).values()
    assert batch.column("weight")[0].as_py() == pytest.approx(math.fsum(numbers), abs=1e-6)


def row(**values: Any) -> dict[str, Any]:
    return (
        dict.fromkeys(VALUES)
        | {
            "site": "A",
            "business_date": DAY,
            "at": datetime(2026, 3, 8, tzinfo=UTC),
        }
        | values
    )


def test_group_without_values_has_zero_sums_and_no_extremes() -> None:
    (batch,) = merged("all", table([row(), row()])).values()
    found = batch.to_pylist()[0]
    assert (found["rows"], found["priced"], found["amount"], found["pieces"]) == (2, 0, 0, 0)
    assert (found["least"], found["most"], found["usual_count"]) == (None, None, 0)


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_nan_is_an_extreme_only_where_there_is_no_number(cut: int) -> None:
    rows = [row(sku="x", ratio=math.nan), row(sku="x", ratio=1.5), row(sku="y", ratio=math.nan)]
    (batch,) = merged("by_sku", table(rows[:cut]), table(rows[cut:])).values()
    most = dict(zip(batch["sku"].to_pylist(), batch["most"].to_pylist(), strict=True))
    assert most["x"] == 1.5
    assert math.isnan(most["y"])


def test_sums_are_wide_enough() -> None:
    rows = [row(count=2**31 - 1, price=Decimal("99999999.99")) for _ in range(1000)]
    (batch,) = merged("all", table(rows)).values()
    found = batch.to_pylist()[0]
    assert found["pieces"] == 1000 * (2**31 - 1)
    assert found["amount"] == 1000 * Decimal("99999999.99")


def test_null_is_a_group_of_its_own() -> None:
    (batch,) = merged("by_sku", table([row(), row(sku="x"), row(), row(sku="")])).values()
    assert dict(zip(batch["sku"].to_pylist(), batch["rows"].to_pylist(), strict=True)) == {
        None: 2,
        "": 1,
        "x": 1,
    }


@pytest.mark.parametrize("name", FEED.totals)
def test_schema_is_that_of_partial_and_merged_totals(name: str) -> None:
    expected = total_schema(FEED.totals[name], FEED)
    rows = table([row(sku="x", count=1, price=Decimal(1), ratio=1.0, paid=True), row()])
    parts = [part for total, part in partial_totals(rows, FEED) if total == name]
    parts += [part for (total, _, _), part in window_totals(rows, FEED) if total == name]
    assert {part.schema for part in parts} == {expected}
    assert merge(parts, FEED.totals[name]).schema == expected
    assert merge([*parts, *parts], FEED.totals[name]).schema == expected


def test_no_rows_no_totals() -> None:
    assert [*partial_totals(table([row()])[:0], FEED)] == []


def test_totals_wires_it() -> None:
    zones = {"A": "Asia/Kathmandu", "B": "America/New_York"}
    sites = Sites(
        {
            name: Site(site=name, name=name, time_zone=zone, deadline=time(2))
            for name, zone in zones.items()
        }
    )
    rows = [row(site=site, sku=sku, count=n) for n, (site, sku) in enumerate(["Ax", "By", "Ax"])]
    parts = [*window_totals(table(rows[:2]), FEED), *window_totals(table(rows[2:]), FEED)]

    def windows(
        element: Any, window: Any = beam.DoFn.WindowParam
    ) -> tuple[Any, list[dict[str, Any]], str]:
        key, batch = element
        return key, batch.to_pylist(), window.end.to_utc_datetime().isoformat()

    def same(found: list[Any]) -> None:
        by_key = {key: (batch, end) for key, batch, end in found}
        assert len(by_key) == len(found) == 6
        batch, end = by_key["by_sku", "A", DAY]
        assert [(one["sku"], one["rows"], one["pieces"]) for one in batch] == [("x", 2, 2)]
        assert end == "2026-03-08T18:15:00"
        assert by_key["all", "B", DAY][1] == "2026-03-09T04:00:00"

    with Pipeline(runner=FnApiRunner()) as pipeline:
        made = pipeline | beam.Create(parts).with_output_types(
            tuple[tuple[str, str, date], pa.RecordBatch]
        )
        assert_that(made | Totals(FEED, sites) | beam.Map(windows), same)


def test_merged_totals_are_sorted_by_group() -> None:
    rows = [row(sku=sku) for sku in ("y", None, "x", "y")]
    (batch,) = merged("by_sku", table(rows)).values()
    assert frame(batch).equals(frame(batch).sort("sku"))
    assert isinstance(pl.from_arrow(batch), pl.DataFrame)
