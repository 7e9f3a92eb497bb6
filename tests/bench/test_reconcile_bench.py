"""The race of the comparison: both find the same, and the figures are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.reconcile import race, terminal


@pytest.mark.slow
def test_a_night_and_one_that_differs_in_one_window(tmp_path: Path) -> None:
    said: list[str] = []
    same, other, every = race(20_000, cache=tmp_path, say=said.append)
    assert (same.equal, same.differences, same.differing, same.windows) == (True, 0, 0, 200)
    assert (other.equal, other.differing, other.windows) == (True, 1, 200)
    assert other.differences > 1
    assert (every.equal, every.differing, every.differences) == (True, 200, 200)
    assert every.spark is None
    assert set(other.document()) >= {"stage", "reconcile", "duckdb", "of_staging", "of_duckdb"}
    assert terminal([same, other, every]).row_count == 3
    assert said[0] == "streaming 20,000 events"
    assert list(tmp_path.iterdir()) == []
