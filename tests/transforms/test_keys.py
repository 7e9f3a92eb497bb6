from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isopach.transforms.batches import TEXT
from isopach.transforms.keys import MOST_RUNS, ByHash, KeyIndex

DAYS = [date(2026, 3, 8), date(2026, 3, 9)]
Key = tuple[str, date, str]
KEYS = st.tuples(st.sampled_from("AB"), st.sampled_from(DAYS), st.text("xyé", max_size=3))
CLASHES = [1, 3, 2**64]
"""Into how many different hashes keys are forced: with one, all keys clash."""


def rows(keys: list[Key], hashes: int = 2**64, encoded: bool = False) -> pa.Table:
    """Return rows of some keys; the site is a dictionary, as Prepare gives it, or plain text."""
    found = pa.table(
        {
            "site": pa.array([site for site, _, _ in keys], pa.large_string()),
            "business_date": pa.array([day for _, day, _ in keys], pa.date32()),
            "id": pa.array([id for _, _, id in keys], pa.large_string()),
            "_key": pa.array([hash(key) % 2**64 % hashes for key in keys], pa.uint64()),
        }
    )
    return found.set_column(0, "site", found.column(0).cast(TEXT)) if encoded else found


def windows(*found: tuple[str, date]) -> pl.DataFrame:
    schema = {"site": pl.String, "business_date": pl.Date}
    return pl.DataFrame(list(found), schema=schema, orient="row")


@pytest.mark.parametrize("hashes", CLASHES)
@given(st.lists(st.tuples(st.lists(KEYS, max_size=6), st.booleans()), max_size=20))
def test_seen_is_what_was_added_and_not_forgotten(
    hashes: int, steps: list[tuple[list[Key], bool]]
) -> None:
    index, known = KeyIndex(["id"]), set[Key]()
    for number, (keys, encoded) in enumerate(steps):
        asked = rows(keys, hashes, encoded)
        seen = index.seen(asked)
        assert seen.tolist() == [key in known for key in keys]
        fresh = list(dict.fromkeys(key for key in keys if key not in known))
        index.add(rows(fresh, hashes, encoded))
        known.update(fresh)
        if number % 5 == 4:
            window = ("AB"[number // 5 % 2], DAYS[number // 10 % 2])
            index.forget(windows(window))
            known = {key for key in known if key[:2] != window}
        assert index.rows == len(known)
        assert len(index.runs) <= MOST_RUNS


@pytest.mark.parametrize("sizes", [[1] * 100, [1000, *[1] * 30], [*[1] * 30, 1000], range(40)])
def test_merging_many_runs_loses_none_and_keeps_hashes_in_order(sizes: list[int]) -> None:
    index, first = KeyIndex(["id"]), 0
    for size in sizes:
        index.add(rows([("A", DAYS[0], f"{n}") for n in range(first, first + size)]))
        first += size
    everything = rows([("A", DAYS[0], f"{n}") for n in range(first)])
    assert index.seen(everything).all()
    assert not index.seen(rows([("A", DAYS[0], f"{first}"), ("B", DAYS[0], "0")])).any()
    assert index.rows == first
    assert all((np.diff(run.hashes.astype(object)) >= 0).all() for run in index.runs)


def test_a_large_run_is_not_copied_for_a_few_small_ones() -> None:
    index = KeyIndex(["id"])
    index.add(rows([("A", DAYS[0], f"{n}") for n in range(1000)]))
    (large,) = index.runs
    for n in range(1000, 1000 + MOST_RUNS):
        index.add(rows([("A", DAYS[0], f"{n}")]))
    assert any(run.hashes is large.hashes for run in index.runs)
    assert len(index.runs) == 2


@pytest.mark.parametrize("key", [["id"], ["site", "id"], ["id", "business_date"]])
def test_the_window_is_part_of_the_key_once(key: list[str]) -> None:
    index = KeyIndex(key)
    index.add(rows([("A", DAYS[0], "x")], hashes=1))
    asked = rows([("A", DAYS[0], "x"), ("A", DAYS[1], "x"), ("B", DAYS[0], "x")], hashes=1)
    assert index.seen(asked).tolist() == [True, False, False]


def test_a_key_with_a_null_in_it_is_a_key() -> None:
    index = KeyIndex(["id"])
    unnamed: Any = ("A", DAYS[0], None)
    index.add(rows([unnamed], hashes=1))
    assert index.seen(rows([unnamed, ("A", DAYS[0], "")], hashes=1)).tolist() == [True, False]


@given(st.lists(st.integers(0, 9), max_size=30), st.data())
def test_rows_by_hash_are_those_that_are_kept(hashes: list[int], data: st.DataObject) -> None:
    rows = pa.table({"_key": pa.array(hashes, pa.uint64())})
    order = ByHash.of(rows)
    assert order.alike().tolist() == [n for n, one in enumerate(hashes) if hashes.count(one) > 1]
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(hashes), max_size=len(hashes))))
    kept = kept.astype(bool)
    left = order.among(kept)
    expected = np.array(hashes, np.uint64)[kept]
    assert left.hashes.tolist() == sorted(expected.tolist())
    assert expected[left.rows].tolist() == left.hashes.tolist()
    assert sorted(left.rows.tolist()) == list(range(len(expected)))


def test_forgetting_gives_memory_back() -> None:
    index = KeyIndex(["id"])
    for day in DAYS:
        index.add(rows([("A", day, f"{n:050}") for n in range(100)]))
    before = index.bytes
    index.forget(windows(("A", DAYS[0])))
    assert index.rows == 100
    assert 100 * 50 < index.bytes <= before / 2
    index.forget(windows(("A", DAYS[1])))
    assert (index.rows, index.bytes, index.runs) == (0, 0, [])
