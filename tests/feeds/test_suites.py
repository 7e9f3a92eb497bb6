"""Suites are checked when their feed is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from isopach.expectations.kinds import write_kinds
from isopach.feeds.errors import DeclarationError
from isopach.feeds.load import load_declaration, load_feed
from isopach.feeds.suites import KINDS, Suite

FEED = {
    "feed": "visits",
    "columns": {
        "id": {"type": "string", "required": True},
        "clinic": {"type": "string", "required": True},
        "at": {"type": "timestamp", "required": True},
        "minutes": "int32",
    },
    "derive": {"hours": "minutes / 60"},
    "site": "clinic",
    "key": ["id"],
    "event_time": "at",
    "suite": "visits",
}
BETWEEN = "expect_column_values_to_be_between"


def feed(folder: Path, written: Any, counts: Any = None, **changes: Any) -> Path:
    """Write a feed with its suite, and return the feed's file."""
    for name, content in (("visits", written), ("visits_counts", counts)):
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / f"{name}.json").write_text(text)
    path = folder / "visits.yaml"
    path.write_text(yaml.safe_dump({**FEED, **changes}, sort_keys=False))
    return path


def suite(*expectations: Any, **more: Any) -> dict[str, Any]:
    return {"name": "visits", "expectations": list(expectations), **more}


def expected(column: str = "minutes", type_: str = BETWEEN, **more: Any) -> dict[str, Any]:
    return {"type": type_, "kwargs": {"column": column, "min_value": 0}, **more}


def fault(path: Path) -> str:
    with pytest.raises(DeclarationError) as raised:
        load_feed(path)
    return "\n".join(map(str, raised.value.faults))


def test_the_kinds_are_those_of_the_installed_library(tmp_path: Path) -> None:
    write_kinds(tmp_path / "kinds.json")
    assert (tmp_path / "kinds.json").read_text() == KINDS.read_text(), "run write_kinds()"


def test_a_suite_is_found_beside_its_feed_with_that_over_counts(tmp_path: Path) -> None:
    counts = suite(expected("reject_rate"))
    found = load_feed(feed(tmp_path, suite(expected()), counts))
    assert found.suite is not None
    assert found.counts_suite is not None
    assert list(found.suite.named) == [f"{BETWEEN}(minutes)"]


def test_a_suite_may_look_at_what_is_derived_and_at_the_window(tmp_path: Path) -> None:
    load_feed(feed(tmp_path, suite(expected("hours"), expected("business_date"))))


def test_expectations_of_one_name_are_numbered(tmp_path: Path) -> None:
    found = load_feed(feed(tmp_path, suite(expected(), expected()))).suite
    assert found is not None
    assert list(found.named) == [f"{BETWEEN}(minutes)#1", f"{BETWEEN}(minutes)#2"]


@pytest.mark.parametrize("name", ["sales", "sales_counts"])
def test_shipped_suites_are_suites_of_the_library(name: str) -> None:
    from isopach.expectations.gx import great_expectations

    declared = load_declaration("sales").feed
    loaded = {"sales": declared.suite, "sales_counts": declared.counts_suite}[name]
    assert isinstance(loaded, Suite)
    given = [one.model_dump(exclude_none=True) for one in loaded.expectations]
    made = great_expectations().ExpectationSuite(name=name, expectations=given)
    assert len(made.expectations) == len(given)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            suite(expected("minute")),
            "expectations[0]: kwargs: 'minute' is not a column; columns: id, clinic, at, minutes, "
            "hours, site, business_date",
        ),
        (
            suite(expected(), expected(type_="expect_column_values_to_be_betwen")),
            f"expectations[1]: 'expect_column_values_to_be_betwen' is not an expectation of "
            f"Great Expectations; nearest: {BETWEEN}",
        ),
        (
            suite({"type": BETWEEN, "kwargs": {"column": "minutes", "minimum": 1}}),
            "kwargs.minimum: expect_column_values_to_be_between has no such argument; allowed: "
            "column, condition_parser, max_value, min_value, mostly, row_condition, strict_max, "
            "strict_min",
        ),
        (suite({"type": BETWEEN}), "kwargs.column: expect_column_values_to_be_between must be"),
        (
            suite({"type": BETWEEN, "kwargs": {"column": "minutes", "mostly": 98}}),
            "kwargs.mostly: 98 is not a share between 0 and 1",
        ),
        (
            suite(expected(severity="fatal")),
            "visits.json: expectations[0].severity: 'fatal': Input should be 'critical', "
            "'warning' or 'info'",
        ),
        (suite(expected(meta={"grain": "site"})), "meta.grain: 'site' is not window or run"),
        (suite(), "visits.json: expectations: "),
        (
            suite(
                {
                    "type": "unexpected_rows_expectation",
                    "kwargs": {"unexpected_rows_query": "select 1"},
                }
            ),
            "needs a database to send queries to, and a lake has none",
        ),
        ("{", "visits.json: not JSON: "),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, content: Any, said: str) -> None:
    assert said in fault(feed(tmp_path, content))


def test_a_suite_over_counts_knows_the_columns_of_counts(tmp_path: Path) -> None:
    said = fault(feed(tmp_path, suite(expected()), suite(expected("rejects"))))
    assert "counts_suite: suite visits: expectations[0]: kwargs: 'rejects' is not a column" in said


def test_a_suite_that_is_not_there_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    said = fault(feed(tmp_path, None, suite="visit"))
    assert "'visit': no such suite; looked for visit.json beside the feed, in " in said


def test_a_suite_may_be_written_in_the_feed(tmp_path: Path) -> None:
    found = load_feed(feed(tmp_path, None, suite=suite(expected())))
    assert found.suite is not None
