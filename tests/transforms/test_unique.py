from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.transforms.batches import TEXT, frame
from isopach.transforms.checksum import row_hashes
from isopach.transforms.unique import distinct, repeats

DAY = date(2026, 3, 8)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "site": st.sampled_from(["A", "B"]),
            "business_date": st.sampled_from([DAY, DAY + timedelta(days=1)]),
            "id": st.sampled_from(["x", "y", "z", "é", ""]),
            "line": st.integers(1, 2),
        }
    ),
    min_size=1,
    max_size=40,
)
CLASHES = [1, 2, 3, 2**64]
"""Into how many different hashes keys are forced: with one, all keys clash."""


def prepared(rows: list[dict[str, Any]], key: list[str], hashes: int = 2**64) -> pa.RecordBatch:
    """Return rows as Prepare gives them, their key hashes cut down to this many."""
    plain = pl.DataFrame(
        rows,
        schema={
            "site": pl.String,
            "business_date": pl.Date,
            "id": pl.String,
            "line": pl.Int32,
            "_source": pl.String,
            "_position": pl.Int64,
        },
    ).to_arrow()
    batch = plain.set_column(0, "site", plain.column("site").cast(TEXT)).set_column(
        4, "_source", plain.column("_source").cast(TEXT)
    )
    keys = row_hashes(plain, ["site", "business_date", *key])[0]
    keys = keys % np.uint64(hashes) if hashes < 2**64 else keys
    (result,) = batch.append_column("_key", pa.array(keys)).combine_chunks().to_batches()
    return result


def placed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each row its own place in one of three sources."""
    places = [{"_source": f"f{n % 3}", "_position": n // 3} for n in range(len(rows))]
    return [row | place for row, place in zip(rows, places, strict=True)]


def reference(rows: list[dict[str, Any]], key: list[str]) -> pl.DataFrame:
    window = ["site", "business_date"]
    ordered = frame(prepared(rows, key)).drop("_key").sort("_source", "_position")
    return ordered.unique([*window, *key], keep="first", maintain_order=True)


def batches(
    rows: list[dict[str, Any]], key: list[str], hashes: int, size: int
) -> list[pa.RecordBatch]:
    return [prepared(rows[n : n + size], key, hashes) for n in range(0, len(rows), size)]


@settings(max_examples=200, deadline=None)
@given(
    ROWS.map(placed),
    st.sampled_from([["id"], ["id", "line"], ["line"]]),
    st.sampled_from(CLASHES),
    st.integers(1, 40),
    st.randoms(use_true_random=False),
)
def test_first_of_each_key_is_kept(
    rows: list[dict[str, Any]], key: list[str], hashes: int, size: int, random: Any
) -> None:
    expected = reference(rows, key)
    shuffled = random.sample(rows, len(rows))
    kept, repeated = distinct(batches(shuffled, key, hashes, size), key)
    place = ["_source", "_position"]
    assert frame(kept).sort(place).equals(expected)
    others = frame(prepared(rows, key)).drop("_key").join(expected, on=place, how="anti")
    assert frame(repeated).sort(place).equals(others.sort(place))


def test_keys_of_other_sites_and_days_are_other_keys() -> None:
    rows = placed(
        [
            {"site": site, "business_date": day, "id": "x", "line": 1}
            for site in "AB"
            for day in (DAY, DAY + timedelta(days=1))
        ]
    )
    for hashes in CLASHES:
        kept, repeated = distinct([prepared(rows, ["id"], hashes)], ["id"])
        assert kept.num_rows == 4
        assert repeated.num_rows == 0


def test_clashing_hashes_of_different_keys_lose_nothing() -> None:
    rows = placed([{"site": "A", "business_date": DAY, "id": f"{n}", "line": 1} for n in range(9)])
    kept, repeated = distinct([prepared([*rows, rows[4] | {"_position": 99}], ["id"], 1)], ["id"])
    assert kept.num_rows == 9
    assert repeated.column("_position").to_pylist() == [99]


def test_earlier_source_wins_over_earlier_batch() -> None:
    row = {"site": "A", "business_date": DAY, "id": "x", "line": 1}
    late = prepared([row | {"_source": "b", "_position": 0}], ["id"])
    early = prepared([row | {"_source": "a", "_position": 7}], ["id"])
    for order in ([late, early], [early, late]):
        kept, repeated = distinct(order, ["id"])
        assert kept.column("_source").to_pylist() == ["a"]
        assert repeated.column("_source").to_pylist() == ["b"]


def test_positions_are_compared_as_numbers() -> None:
    row = {"site": "A", "business_date": DAY, "id": "x", "line": 1, "_source": "a"}
    rows = [row | {"_position": position} for position in (100, 9, 20)]
    kept, repeated = distinct([prepared(rows, ["id"])], ["id"])
    assert kept.column("_position").to_pylist() == [9]
    assert sorted(repeated.column("_position").to_pylist()) == [20, 100]


def test_columns_stay_but_for_the_hash() -> None:
    rows = placed([{"site": "A", "business_date": DAY, "id": "x", "line": 1}] * 2)
    batch = prepared(rows, ["id"])
    kept, repeated = distinct([batch], ["id"])
    expected = batch.schema.remove(batch.schema.get_field_index("_key"))
    assert kept.schema == repeated.schema == expected
    assert kept.column("site").num_chunks == 1


@pytest.mark.parametrize("sizes", [[], [1], [5, 1], [0, 3]])
def test_repeats(sizes: list[int]) -> None:
    hashes = np.array([2**63 + n for n, size in enumerate(sizes) for _ in range(size)], np.uint64)
    expected = [size > 1 for size in sizes for _ in range(size)]
    assert repeats(hashes).tolist() == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), max_size=50))
def test_repeats_are_those_that_occur_again(hashes: list[int]) -> None:
    found = repeats(np.array(hashes, np.uint64)).tolist()
    assert found == [hashes.count(value) > 1 for value in hashes]
