from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.pipelines import waves
from isopach.pipelines.deliveries import DeliveredFile
from isopach.pipelines.pieces import Piece
from isopach.pipelines.waves import plan_waves
from isopach.transforms.salt import SaltingPlan, plan_salts

DAY = date(2026, 3, 8)
SIZES = st.dictionaries(
    st.sampled_from([f"S{n}" for n in range(12)]), st.integers(0, 400), min_size=1
)


def piece(site: str, rows: int, row_bytes: int = 100) -> Piece:
    file = DeliveredFile(f"{DAY}/{site}/d1/a.csv", "csv", None, 1, 1, rows)
    return Piece(site, DAY, file, None, 0, rows, 1, rows * row_bytes)


def planned(sizes: dict[str, int], target: int) -> tuple[SaltingPlan, list[Piece]]:
    """Return the salting of sites of these rows, and their files, two each."""
    pieces = [
        part
        for site, rows in sizes.items()
        for part in (piece(site, rows // 2), piece(site, rows - rows // 2))
    ]
    return plan_salts(sizes, target), pieces


@settings(deadline=None)
@given(SIZES, st.integers(1, 500), st.none() | st.integers(1, 200_000))
def test_each_group_is_in_one_wave_and_each_site_counted_once(
    sizes: dict[str, int], target: int, memory: int | None
) -> None:
    plan, pieces = planned(sizes, target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waves, "PROCESS_BYTES", 0)
        found = plan_waves(plan, pieces, memory)
    assert sorted(group for wave in found for group in wave.groups) == list(range(len(plan.rows)))
    assert all(wave.groups for wave in found)
    assert Counter(site for wave in found for site in wave.counted) == Counter(sizes.keys())
    for wave in found:
        needed = {
            site
            for site, share in plan.shares.items()
            if wave.groups & set(range(share.first, share.first + share.salts))
        }
        assert {part.site for part in wave.pieces} == needed >= wave.counted
        assert len(wave.pieces) == 2 * len(needed)


def test_without_a_budget_there_is_one_wave() -> None:
    plan, pieces = planned({"S1": 1000, "S2": 10}, 100)
    (wave,) = plan_waves(plan, pieces, None)
    assert wave.counted == {"S1", "S2"}


def test_less_memory_makes_more_waves_down_to_one_group_each() -> None:
    plan, pieces = planned({f"S{n}": 100_000 for n in range(16)}, 100_000)
    whole = sum(part.in_memory for part in pieces)
    budgets = [waves.PROCESS_BYTES + factor * whole // 4 for factor in (80, 12, 8, 6, 1, 0)]
    numbers = [len(plan_waves(plan, pieces, memory)) for memory in budgets]
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[-1]) == (1, 16)
    assert len(set(numbers)) > 2


def test_a_heavy_site_is_read_by_each_of_its_waves_and_counted_by_the_first() -> None:
    plan, pieces = planned({"S1": 300, "S2": 10}, 100)
    found = plan_waves(plan, pieces, 1)
    assert [{part.site for part in wave.pieces} for wave in found] == [{"S1"}] * 3 + [{"S2"}]
    assert [wave.counted for wave in found] == [{"S1"}, set(), set(), {"S2"}]
