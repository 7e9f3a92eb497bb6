from __future__ import annotations

from datetime import date
from math import ceil
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.transforms.batches import TEXT, unpack
from isopach.transforms.salt import Salt, SaltingPlan, group_of, packed, plan_salts, salted

SITES = st.sampled_from(["A", "B", "C", "D", "E", "F", "G"])
SIZES = st.dictionaries(SITES, st.integers(0, 3000), min_size=1)
TARGETS = st.integers(1, 2000)
DAY = date(2026, 3, 8)


def prepared(rows: list[tuple[str, int]]) -> pa.RecordBatch:
    """Return a batch as Prepare gives it: sites and key hashes, and a number for each row."""
    return pa.record_batch(
        {
            "site": pa.array([site for site, _ in rows], pa.large_string()).cast(TEXT),
            "_key": pa.array([key for _, key in rows], pa.uint64()),
            "row": pa.array(range(len(rows)), pa.int64()),
        }
    )


ROWS = st.lists(st.tuples(SITES, st.integers(0, 2**64 - 1)), min_size=1, max_size=60)


def plan_of(rows: list[tuple[str, int]], target: int) -> SaltingPlan:
    sizes: dict[str, int] = {}
    for site, _ in rows:
        sizes[site] = sizes.get(site, 0) + 1
    return plan_salts(sizes, target)


@settings(max_examples=300, deadline=None)
@given(SIZES, TARGETS)
def test_plan_covers_every_site_in_groups_of_its_own(sizes: dict[str, int], target: int) -> None:
    plan = plan_salts(sizes, target)
    assert set(plan.shares) == set(sizes)
    used: dict[int, list[str]] = {}
    for site, share in plan.shares.items():
        assert share.salts == max(1, ceil(sizes[site] / target))
        for group in range(share.first, share.first + share.salts):
            used.setdefault(group, []).append(site)
    assert sorted(used) == list(range(len(plan.rows)))
    assert all(len(sites) == 1 for sites in used.values() if sizes[sites[0]] > target)


@settings(max_examples=300, deadline=None)
@given(SIZES, TARGETS)
def test_no_group_is_larger_than_the_target(sizes: dict[str, int], target: int) -> None:
    plan = plan_salts(sizes, target)
    expected = [0] * len(plan.rows)
    for site, share in plan.shares.items():
        for group in range(share.first, share.first + share.salts):
            expected[group] += ceil(sizes[site] / share.salts)
    assert list(plan.rows) == expected
    assert max(plan.rows) <= target


@settings(max_examples=300, deadline=None)
@given(SIZES, TARGETS)
def test_light_sites_are_packed(sizes: dict[str, int], target: int) -> None:
    plan = plan_salts(sizes, target)
    light = [size for size in sizes.values() if size <= target]
    bins = [
        rows
        for group, rows in enumerate(plan.rows)
        if any(s.first == group and s.salts == 1 for s in plan.shares.values())
    ]
    assert sum(bins) == sum(light)
    half_empty = [rows for rows in bins if 2 * rows <= target]
    assert len(half_empty) <= 1


@settings(max_examples=100, deadline=None)
@given(SIZES, TARGETS, st.randoms(use_true_random=False))
def test_plan_does_not_depend_on_the_order_of_sites(
    sizes: dict[str, int], target: int, random: Any
) -> None:
    shuffled = dict(random.sample([*sizes.items()], len(sizes)))
    assert plan_salts(shuffled, target) == plan_salts(sizes, target)


def test_plan_of_a_heavy_and_some_light_sites() -> None:
    plan = plan_salts({"hot": 2500, "a": 600, "b": 400, "c": 300, "none": 0}, 1000)
    assert plan.rows == (834, 834, 834, 1000, 300)
    assert (plan.shares["hot"].first, plan.shares["hot"].salts) == (0, 3)
    assert [plan.shares[site].first for site in ("a", "b", "c")] == [3, 3, 4]


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(1, 30), st.integers(0, 60))
def test_each_row_goes_to_one_group_of_its_site(
    rows: list[tuple[str, int]], target: int, cut: int
) -> None:
    plan = plan_of(rows, target)
    everything = frozenset(range(len(plan.rows)))
    batch = prepared(rows)
    parts = [
        found
        for piece in (batch[:cut], batch[cut:])
        if piece.num_rows
        for found in salted(piece, plan, everything)
    ]
    numbers = [row for _, part in parts for row in part.column("row").to_pylist()]
    assert sorted(numbers) == list(range(len(rows)))
    for group, part in parts:
        for site in part.column("site").to_pylist():
            share = plan.shares[site]
            assert share.first <= group < share.first + share.salts


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(1, 30), st.randoms(use_true_random=False))
def test_rows_of_a_key_meet_whatever_the_batch(
    rows: list[tuple[str, int]], target: int, random: Any
) -> None:
    plan = plan_of(rows, target)
    groups = dict(zip(rows, group_of(prepared(rows), plan).tolist(), strict=True))
    for row, group in zip(rows, group_of(prepared(rows), plan).tolist(), strict=True):
        assert groups[row] == group
    shuffled = random.sample(rows, len(rows))
    again = group_of(prepared(shuffled), plan).tolist()
    assert [groups[row] for row in shuffled] == again
    alone = [int(group_of(prepared([row]), plan)[0]) for row in rows]
    assert [groups[row] for row in rows] == alone


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(1, 10), st.data())
def test_only_the_wanted_groups_are_kept(
    rows: list[tuple[str, int]], target: int, data: st.DataObject
) -> None:
    plan = plan_of(rows, target)
    batch = prepared(rows)
    wanted = frozenset(data.draw(st.sets(st.integers(0, len(plan.rows) - 1))))
    expected = {
        row
        for row, group in zip(range(len(rows)), group_of(batch, plan).tolist(), strict=True)
        if group in wanted
    }
    found = [row for _, p in salted(batch, plan, wanted) for row in p.column("row").to_pylist()]
    assert sorted(found) == sorted(expected)
    assert {group for group, _ in salted(batch, plan, wanted)} <= wanted


def test_rows_keep_their_order_in_a_group() -> None:
    rows = [("A", n * 0x9E3779B97F4A7C15 % 2**64) for n in range(500)]
    plan = plan_salts({"A": 500}, 100)
    for _, part in salted(prepared(rows), plan, frozenset(range(5))):
        numbers = part.column("row").to_pylist()
        assert numbers == sorted(numbers)


def test_salts_of_a_heavy_site_are_even() -> None:
    rng = np.random.default_rng(5)
    keys = rng.integers(0, 2**64, 50_000, np.uint64).tolist()
    plan = plan_salts({"A": 50_000}, 5_000)
    counts = np.bincount(group_of(prepared([("A", key) for key in keys]), plan), minlength=10)
    assert counts.min() > 4_600
    assert counts.max() < 5_400


def test_packed_parts_are_the_salted_ones() -> None:
    rows = [("AB"[n % 2], n) for n in range(40)]
    plan = plan_of(rows, 7)
    groups = frozenset(range(len(plan.rows)))
    expected = [*salted(prepared(rows), plan, groups)]
    found = [(group, unpack(part)) for group, part in packed(prepared(rows), plan, groups)]
    assert [group for group, _ in found] == [group for group, _ in expected]
    assert all(a.equals(b) for (_, a), (_, b) in zip(found, expected, strict=True))


def test_site_that_was_not_planned_is_an_error() -> None:
    with pytest.raises(KeyError, match="B"):
        group_of(prepared([("A", 1), ("B", 1)]), plan_salts({"A": 1}, 10))


def test_salt_wires_it() -> None:
    rows = [("AB"[n % 2], n) for n in range(40)]
    plan = plan_of(rows, 7)
    groups = frozenset(range(len(plan.rows)))
    expected = sorted((group, pack) for group, pack in packed(prepared(rows), plan, groups))

    def same(found: list[tuple[int, bytes]]) -> None:
        assert sorted(found) == expected

    with Pipeline(runner=FnApiRunner()) as pipeline:
        result = pipeline | beam.Create([prepared(rows)]) | Salt(plan, groups)
        assert_that(result, same)
