from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from isopach.transforms.batches import TEXT, frame
from isopach.transforms.quarantine import (
    SCHEMA,
    Mark,
    Marks,
    as_json,
    duplicates,
    key_text,
    quarantined,
    readable,
)

DAY = date(2026, 3, 8)


def rows_of(*numbers: int, of: int = 5) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.isin(np.arange(of), numbers)


def test_first_mark_of_a_row_stays() -> None:
    marks = Marks(5)
    marks.set(rows_of(1, 3), Mark("rejected", "malformed", "a"))
    marks.set(rows_of(), Mark("rejected", "never", "x"))
    marks.set(rows_of(0, 1), Mark("rejected", "missing", "b"))
    marks.set(rows_of(3), Mark("late", "earlier", None))
    assert marks.marked is not None
    assert marks.marked.tolist() == [True, True, False, True, False]
    assert marks.frame().rows() == [
        ("rejected", "missing", "b"),
        ("rejected", "malformed", "a"),
        ("rejected", "malformed", "a"),
    ]
    assert [mark.reason for mark in marks.kinds] == ["malformed", "missing", "earlier"]


def test_no_marks() -> None:
    marks = Marks(3)
    assert marks.marked is None
    marks.set(rows_of(of=3), Mark("rejected", "never", None))
    assert marks.marked is None


def test_absent_columns_are_null() -> None:
    batch = quarantined(pl.DataFrame({"site": ["A"], "reason": ["x"], "_position": [7]}))
    assert batch.schema == SCHEMA
    (row,) = batch.to_pylist()
    assert row == dict.fromkeys(SCHEMA.names) | {"site": "A", "reason": "x", "_position": 7}


def test_keys_as_text() -> None:
    rows = pl.DataFrame({"id": [7, None], "line": ["a", "b"]})
    assert rows.select(key_text(["id"])).to_series().to_list() == ["7", None]
    both = rows.select(key_text(["id", "line"])).to_series().to_list()
    assert [json.loads(text) for text in both] == [
        {"id": 7, "line": "a"},
        {"id": None, "line": "b"},
    ]


def test_duplicates_keep_the_row_as_it_was_accepted() -> None:
    rows = pa.table(
        {
            "id": ["x", "y"],
            "price": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            "at": pa.array([datetime(2026, 3, 8, 12, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC")),
            "total": [1, 2],
            "site": pa.array(["A", "A"], pa.large_string()).cast(TEXT),
            "business_date": pa.array([DAY, DAY], pa.date32()),
            "_source": pa.array(["f", "f"], pa.large_string()).cast(TEXT),
            "_position": [3, 4],
        }
    )
    batch = duplicates(rows, ["id", "price", "at"], ["id"])
    assert batch.schema == SCHEMA
    first, second = batch.to_pylist()
    raw = json.loads(first.pop("raw"))
    assert (raw["id"], raw["price"]) == ("x", "1.50")
    assert datetime.fromisoformat(raw["at"]) == datetime(2026, 3, 8, 12, tzinfo=UTC)
    assert json.loads(second["raw"])["price"] is None
    assert first == {
        "disposition": "duplicate",
        "reason": "duplicate_key",
        "column": "id",
        "site": "A",
        "business_date": DAY,
        "row_date": DAY,
        "key": "x",
        "_source": "f",
        "_position": 3,
    }


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None]), [1, None]),
        (pa.array(["a", None]), ["a", None]),
        (pa.array([Decimal("1.50"), None]), ["1.50", None]),
        (pa.array([True, None]), [True, None]),
        (pa.array([DAY, None]), ["2026-03-08", None]),
        (pa.array([[1], None]), [[1], None]),
        (pa.array([{"a": 1}, None]), [{"a": 1}, None]),
        (pa.array([b"\x00\xff", None]), ["00ff", None]),
        (pa.array([b"ab", None], pa.binary(2)), ["6162", None]),
        (pa.array([{"a": b"\xff"}, None]), ['{"a": "ff"}', None]),
        (pa.array([[b"\x01"], None]), ['["01"]', None]),
        (pa.array([Decimal("1.5"), None], pa.decimal256(50, 2)), ['"1.50"', None]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array(["a", None]).dictionary_encode(), ["a", None]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_values_of_any_type_can_be_written_as_json(column: pa.Array, expected: list[Any]) -> None:
    batch = readable(pa.record_batch({"x": column}))
    written = frame(batch).select(as_json(["x"])).to_series().to_list()
    assert [json.loads(text)["x"] for text in written] == expected


@pytest.mark.parametrize(
    "column",
    [
        pa.array([timedelta(days=1)]),
        pa.array([time(1, 2)]),
        pa.array([[("a", b"x")]], pa.map_(pa.string(), pa.binary())),
        pa.RunEndEncodedArray.from_arrays([1], ["a"]),
        pa.array([2**64 - 1], pa.uint64()),
        pa.array([1], pa.timestamp("ns")),
    ],
    ids=lambda column: str(column.type),
)
def test_values_of_odd_types_can_be_written_too(column: pa.Array) -> None:
    batch = readable(pa.record_batch({"x": column}))
    (text,) = frame(batch).select(as_json(["x"])).to_series().to_list()
    assert json.loads(text)["x"]
