"""The commands that propose a suite and show what becomes of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import isopach, refused
from small_night import DAY, FEED, SmallNight, declare, row, rows

from isopach.feeds.suites import load_suite

DATES = ("--from", f"{DAY}")


@pytest.fixture
def settled(tmp_path: Path) -> SmallNight:
    made = SmallNight(tmp_path, declare(tmp_path))
    secret = [row("nyc", f"n{n}", note="secret") for n in range(30)]
    made.deliver("nyc", secret)
    made.deliver("pago", rows("pago", 30), rows=31)
    made.run(only=frozenset({"nyc", "pago"}))
    return made


def suite(made: SmallNight, *more: str | Path) -> Any:
    feed = made.folder / "visits.yaml"
    return isopach("suite", feed, "--lake", made.lake.uri, *more)


def test_what_is_proposed_can_be_used_and_is_met(settled: SmallNight, tmp_path: Path) -> None:
    file = tmp_path / "proposed.json"
    result = suite(settled, *DATES, "--to", file)
    assert result.code == 0, result.err
    assert "expectations to look through" in result.out
    proposed = load_suite(file)
    assert {name for one in proposed.expectations for name in one.columns} >= {"minutes", "fee"}
    assert "secret" not in file.read_text()
    declare(tmp_path, {**FEED, "suite": "proposed.json"})
    again = SmallNight(tmp_path, declare(tmp_path, {**FEED, "suite": "proposed.json"}))
    summary = again.run(only=frozenset({"nyc"}))
    assert (summary.outcome, summary.gates["failed"], summary.rejected) == ("published", 0, 0)


def test_only_settled_windows_are_looked_at(settled: SmallNight) -> None:
    proposed = suite(settled, *DATES, "--json").document
    of_minutes = [o for o in proposed["expectations"] if o["kwargs"].get("column") == "minutes"]
    assert all(one["kwargs"].get("min_value", 10) > 2 for one in of_minutes), "pago is held"


def test_a_file_that_is_there_is_not_written_over(settled: SmallNight, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text("mine")
    assert "mine.json: is there already" in refused(suite(settled, *DATES, "--to", file), 1)
    assert file.read_text() == "mine"


def test_dates_without_a_settled_window_are_told(settled: SmallNight) -> None:
    said = refused(suite(settled, "--from", "2026-01-01..2026-01-02"), 1)
    assert "no window of visits is settled on 2026-01-01..2026-01-02; run the nights" in said


def test_check_names_what_is_no_row_rule_and_why(tmp_path: Path) -> None:
    kinds = ("between", "unique")
    expectations = [
        {
            "type": f"expect_column_values_to_be_{kind}",
            "kwargs": {"column": "minutes", **({"min_value": 0} if kind == "between" else {})},
        }
        for kind in kinds
    ]
    declare(tmp_path, {**FEED, "suite": {"name": "visits", "expectations": expectations}})
    checked = isopach("check", tmp_path / "visits.yaml", "--json").document
    assert [one["looked_at"] for one in checked["expectations"]] == [
        "each row, and the gate",
        "the gate: looks at other rows",
    ]
    shown = isopach("check", tmp_path / "visits.yaml").out
    assert "the gate: looks at other rows" in shown


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"min_value": "abc"}, "min_value"),
        ({}, "min_value and max_value cannot both be None"),
        ({"min_value": 1, "strict_min": "perhaps"}, "strict_min"),
    ],
)
@pytest.mark.parametrize("command", ["check", "nightly"])
def test_arguments_that_cannot_be_are_refused_before_anything_is_staged(
    tmp_path: Path, kwargs: dict[str, Any], said: str, command: str
) -> None:
    between = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "minutes", **kwargs},
    }
    made = SmallNight(tmp_path, declare(tmp_path))
    made.deliver("nyc", rows("nyc", 1))
    declare(tmp_path, {**FEED, "suite": {"name": "visits", "expectations": [between]}})
    feed, night = tmp_path / "visits.yaml", ("--landing", made.landing.uri, "--date", f"{DAY}")
    more = ("--lake", made.lake.uri, *night) if command == "nightly" else ()
    message = refused(isopach(command, feed, *more), 2)
    assert "expectations[0] expect_column_values_to_be_between(minutes): " in message
    assert said in message
    assert not Path(made.lake.path).exists()


def test_the_proposal_is_json_on_stdout(settled: SmallNight) -> None:
    assert json.loads(suite(settled, *DATES).out)["name"] == "visits"
