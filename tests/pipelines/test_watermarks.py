"""What a source reports is never ahead of rows that another is yet to hand over."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from isopach.pipelines import watermarks
from isopach.pipelines.watermarks import Watermarks
from isopach.transforms.lateness import UNKNOWN

SOURCES = ("a", "b", "c")
STEPS = st.lists(st.tuples(st.sampled_from(SOURCES), st.booleans(), st.integers(0, 99)))


@given(STEPS)
def test_no_source_hands_over_rows_behind_what_was_reported(
    steps: list[tuple[str, bool, int]],
) -> None:
    marks, reported, known = Watermarks(), UNKNOWN, dict.fromkeys(SOURCES, UNKNOWN)
    under_way: set[str] = set()
    for source in SOURCES:
        marks.begin(source, UNKNOWN)
    for source, begins, moves in steps:
        if begins and source not in under_way:
            assert marks.begin(source, UNKNOWN) == known[source]
            under_way.add(source)
        elif source in under_way:
            assert reported <= known[source]  # by which its rows were judged
            known[source] = max(known[source], 0) + moves
            marks.note(source, known[source])
            reported = max(reported, marks.least())
            under_way.remove(source)
    for _ in range(2):
        for source in SOURCES:
            marks.begin(source, UNKNOWN)
    assert marks.least() == min(known.values())


def test_a_source_that_goes_on_elsewhere_holds_no_other_for_ever() -> None:
    marks = Watermarks()
    with patch.object(watermarks, "monotonic", lambda: 100.0):
        marks.begin("gone", 5)
        marks.begin("here", 9)
        assert marks.least() == 5
    with patch.object(watermarks, "monotonic", lambda: 161.0):
        marks.begin("here", 9)
        assert marks.least() == 9


def test_a_source_goes_on_from_what_its_engine_remembers() -> None:
    marks = Watermarks()
    assert marks.begin("a", 7) == 7
    marks.note("a", 12)
    assert marks.begin("a", 7) == 12
    marks.clear()
    assert marks.begin("a", 7) == 7
    assert Watermarks().least() == UNKNOWN
