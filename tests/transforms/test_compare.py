"""What the comparison of two sides finds is what a full outer join finds."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isopach.feeds.feed import Feed
from isopach.transforms.checksum import row_hashes
from isopach.transforms.compare import CHANGED, EXTRA, MISSING, REPEATED, compare

DAY = date(2026, 3, 8)
FEED = Feed.model_validate(
    {
        "feed": "visits",
        "columns": {
            "id": {"type": "string", "required": True},
            "place": {"type": "string", "required": True},
            "at": {"type": "timestamp", "required": True},
            "line": {"type": "int32", "required": True},
            "price": "decimal(10,2)",
            "weight": "float64",
            "guest": {"type": "string", "sensitive": True},
            "note": "string",
        },
        "site": "place",
        "key": ["id", "line"],
        "event_time": "at",
        "reconcile": {"ignore": ["note"]},
    }
)
SCHEMA = pa.schema(
    [
        *FEED.payload,
        pa.field("site", pa.large_string()),
        pa.field("business_date", pa.date32()),
        pa.field("_source", pa.large_string()),
        pa.field("_position", pa.int64()),
        pa.field("_run", pa.large_string()),
    ]
)
ROW = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["x", "y", 'q"', "é", ""]),
        "line": st.integers(1, 2),
        "price": st.sampled_from([None, Decimal("1.10"), Decimal("-2.00")]),
        "weight": st.sampled_from([None, 0.0, -0.0, 1.5, float("nan"), float("inf")]),
        "guest": st.sampled_from([None, "ann", "bob"]),
        "note": st.sampled_from([None, "a", "b"]),
        "site": st.sampled_from(["nyc", "pago"]),
    }
)
ROWS = st.lists(ROW, max_size=25, unique_by=lambda row: (row["site"], row["id"], row["line"]))
BOTH = st.tuples(ROWS, ROWS, st.integers(0, 25)).map(
    lambda parts: (parts[0], [*parts[0][: parts[2]], *parts[1]])
)


def side(rows: list[dict[str, Any]], name: str) -> pa.Table:
    """Return rows as they are read for a comparison."""
    data = [
        {
            **row,
            "place": row["site"],
            "at": datetime(2026, 3, 8, 12, tzinfo=UTC),
            "business_date": DAY,
            "_source": name,
            "_position": number,
            "_run": f"run of {name}",
        }
        for number, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(data, SCHEMA)
    key = row_hashes(table, ["site", "business_date", *FEED.key])[0]
    return table.append_column("_key", pa.array(key))


def unique(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({(r["site"], r["id"], r["line"]): r for r in reversed(rows)}.values())


def joined(stream: pa.Table, batch: pa.Table) -> list[tuple[Any, ...]]:
    """Return what DuckDB finds by a full outer join."""
    s, b = stream.drop_columns("_key"), batch.drop_columns("_key")  # noqa: F841
    differs = {
        name: f"(s.{name} IS DISTINCT FROM b.{name})" for name in ("price", "weight", "guest")
    }
    names = ", ".join(f"CASE WHEN {test} THEN '{name}' END" for name, test in differs.items())
    return sorted(
        duckdb.connect()
        .execute(
            f"""
            SELECT coalesce(s.site, b.site), coalesce(s.id, b.id), coalesce(s.line, b.line),
              CASE WHEN s.id IS NULL THEN 'missing' WHEN b.id IS NULL THEN 'extra'
                   ELSE 'changed' END AS kind,
              CASE WHEN s.id IS NOT NULL AND b.id IS NOT NULL
                   THEN nullif(concat_ws(',', {names}), '') END,
              s._position, b._position
            FROM s FULL OUTER JOIN b USING (site, business_date, id, line)
            WHERE s.id IS NULL OR b.id IS NULL OR {" OR ".join(differs.values())}
            """
        )
        .fetchall(),
        key=str,
    )


def found(differences: pl.DataFrame) -> list[tuple[Any, ...]]:
    rows = []
    for row in differences.iter_rows(named=True):
        key = json.loads(row["key"])
        rows.append(
            (
                row["site"],
                key["id"],
                key["line"],
                row["kind"],
                row["columns"],
                row["stream_position"],
                row["batch_position"],
            )
        )
    return sorted(rows, key=str)


@given(BOTH)
def test_differences_are_those_of_a_full_outer_join(
    both: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    stream, batch = side(both[0], "s"), side(unique(both[1]), "b")
    assert found(compare(stream, batch, FEED)) == joined(stream, batch)


def test_both_values_are_told_and_sensitive_ones_masked() -> None:
    row = {
        "id": "x",
        "line": 1,
        "site": "nyc",
        "price": Decimal("1.10"),
        "guest": "ann",
        "note": "a",
    }
    ours = side([row, {**row, "line": 2}], "s")
    theirs = side([{**row, "price": None, "guest": "bob", "note": "b"}], "b")
    changed, extra = compare(ours, theirs, FEED).sort("kind").to_dicts()
    assert (changed["kind"], changed["columns"]) == (CHANGED, "price,guest")
    assert json.loads(changed["stream"]) == {"price": "1.10", "guest": "•••"}
    assert json.loads(changed["batch"]) == {"price": None, "guest": None} | {"guest": "•••"}
    assert (extra["kind"], extra["batch"]) == (EXTRA, None)
    assert json.loads(extra["stream"])["guest"] == "•••"
    assert (extra["stream_source"], extra["stream_position"], extra["stream_run"]) == (
        "s",
        1,
        "run of s",
    )
    assert (changed["batch_source"], changed["batch_run"]) == ("b", "run of b")


@pytest.mark.parametrize(("kind", "rows"), [("stream", ([0, 0], [0])), ("batch", ([0], [0, 0]))])
def test_a_record_that_one_side_has_twice_is_told(
    kind: str, rows: tuple[list[int], list[int]]
) -> None:
    row = {"id": "x", "line": 1, "site": "nyc"}
    sides = side([row for _ in rows[0]], "s"), side([row for _ in rows[1]], "b")
    (one,) = compare(*sides, FEED).to_dicts()
    assert (one["kind"], one[f"{kind}_position"]) == (REPEATED, 1)


def test_equal_sides_and_empty_ones() -> None:
    rows = side([{"id": "x", "line": 1, "site": "nyc"}], "s")
    assert compare(rows, rows, FEED).is_empty()
    assert compare(rows[:0], rows[:0], FEED).is_empty()
    assert compare(rows, rows[:0], FEED)["kind"].to_list() == [EXTRA]
    assert compare(rows[:0], rows, FEED)["kind"].to_list() == [MISSING]
