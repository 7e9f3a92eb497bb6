from __future__ import annotations

from dataclasses import replace

import pytest

from isopach.expectations.audit import Evidence, reasons_to_hold

GOOD = Evidence(read=10, accepted=6, rejected=2, late=1, duplicate=1, declared=10)


def test_window_whose_counts_add_up_is_published() -> None:
    assert reasons_to_hold(GOOD) == []


@pytest.mark.parametrize(
    "evidence",
    [
        replace(GOOD, declared=None),  # the site does not count
        Evidence(declared=0),  # zero rows, as declared
        Evidence(read=3, rejected=3, declared=3),  # every row is accounted for
    ],
)
def test_other_windows_that_are_published(evidence: Evidence) -> None:
    assert reasons_to_hold(evidence) == []


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (replace(GOOD, declared=12), ["declared 12 rows, read 10 (-2)"]),
        (replace(GOOD, declared=9), ["declared 9 rows, read 10 (+1)"]),
        (
            Evidence(read=1_234_567, accepted=1_234_567, declared=2_000_000),
            ["declared 2,000,000 rows, read 1,234,567 (-765,433)"],
        ),
        (
            replace(GOOD, accepted=5),
            [
                "read 10 rows, but 5 accepted, 2 rejected, 1 late and 1 duplicate are 9",
            ],
        ),
        (Evidence(), ["no rows, and the manifest does not declare zero"]),
        (
            Evidence(declared=5),
            ["declared 5 rows, read 0 (-5)", "no rows, and the manifest does not declare zero"],
        ),
        (Evidence(delivered=False), ["not delivered"]),
        (
            Evidence(problem="d1/manifest.json: rows: must be given"),
            ["delivery cannot be used: d1/manifest.json: rows: must be given"],
        ),
        (
            Evidence(unreadable=("a.csv: gone", "b.csv: cut")),
            ["unreadable file: a.csv: gone", "unreadable file: b.csv: cut"],
        ),
        (
            replace(GOOD, unreadable=("a.csv: cut",), declared=15),
            ["unreadable file: a.csv: cut", "declared 15 rows, read 10 (-5)"],
        ),
        (
            replace(GOOD, registered=False),
            ["site is not registered: add it to the site registry, then run the night again"],
        ),
        (
            replace(GOOD, registered=False, declared=11, accepted=7),
            [
                "site is not registered: add it to the site registry, then run the night again",
                "declared 11 rows, read 10 (-1)",
                "read 10 rows, but 7 accepted, 2 rejected, 1 late and 1 duplicate are 11",
            ],
        ),
    ],
)
def test_reasons_to_hold_a_window_with_their_figures(
    evidence: Evidence, expected: list[str]
) -> None:
    assert reasons_to_hold(evidence) == expected


def test_delivery_that_cannot_be_used_is_the_one_reason() -> None:
    evidence = Evidence(problem="no", delivered=False, unreadable=("x",), declared=5)
    assert reasons_to_hold(evidence) == ["delivery cannot be used: no"]
