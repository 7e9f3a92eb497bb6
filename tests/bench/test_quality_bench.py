"""The race of the gates: the same is found, and the figures are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.quality import race, terminal


@pytest.mark.slow
def test_a_night_with_suites_and_without(tmp_path: Path) -> None:
    said: list[str] = []
    found = race(20_000, repeat=1, cache=tmp_path, say=said.append)
    assert (found.equal, found.rows, found.expectations) == (True, 20_000, 6)
    assert found.gate > 0
    assert set(found.document()) >= {"rules_of_staging", "gate_of_staging", "gate_of_plain"}
    assert terminal([found]).row_count == 1
    assert said[0] == "writing 20,000 rows"
    assert list(tmp_path.iterdir()) == []
