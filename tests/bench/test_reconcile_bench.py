"""The race of the comparison: both find the same, and the figures are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.reconcile import race, terminal


@pytest.mark.slow
def test_nights_that_differ_in_one_window_and_in_each(tmp_path: Path) -> None:
    said: list[str] = []
    found = race(20_000, nights=["other", "every"], cache=tmp_path, say=said.append)
    other, every = found
    assert (other.equal, other.differing, other.windows) == (True, 1, 200)
    assert other.differences > 1
    assert (every.equal, every.differing, every.differences) == (True, 200, 200)
    assert every.spark is None
    assert set(other.document()) >= {"stage", "reconcile", "duckdb", "of_staging", "of_duckdb"}
    assert terminal(found).row_count == 2
    assert said[0] == "streaming 20,000 events"
    assert list(tmp_path.iterdir()) == []
