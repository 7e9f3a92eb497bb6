"""The gate of a table: what is settled, held against the suite of today."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from commands import Result, isopach, refused
from gated_night import EXPECTED, gated_night, judged, lines
from small_night import DAY, SmallNight, declare, row

from isopach.jobs.table_gate import InProcess

RANGE = "expect_column_values_to_be_between"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    return gated_night(tmp_path_factory.mktemp("night"))


def gate(night: SmallNight, *more: str) -> Result:
    command = ["gate", night.folder / "visits.yaml", "--lake", night.lake.uri]
    return isopach(*command, "--date", f"{DAY}", *more)


def test_what_is_settled_is_judged(night: SmallNight) -> None:
    found = judged(night, InProcess())
    held = {item["site"]: item["reason"] for item in found.held}
    assert held.keys() == {"nyc", "kathmandu", "kiritimati"}
    assert f"{RANGE}(minutes): 3 of 10 rows (30.00%) do not meet it" in held["nyc"]
    assert "expect_column_mean_to_be_between(fee): observed 33.0" in held["kathmandu"]
    warned = {(w["site"], str(w["expectation"])) for w in found.warnings}
    assert ("kathmandu", f"{RANGE}(fee)") in warned
    assert ("nyc", f"{RANGE}(fee)") not in warned
    assert (found.windows, found.passed + found.failed) == (3, len(EXPECTED))
    rows = lines(night, found.run)
    assert rows["mode"].unique().to_list() == ["table"]
    by_run = rows.filter(pl.col("site").is_null())
    assert dict(by_run["outcome"].value_counts().rows())["failed"] == found.failed
    (run,) = night.table("runs").filter(run=found.run).to_dicts()
    assert (run["cadence"], run["engine"], run["outcome"]) == ("gate", "test", "held")
    assert run["versions_in"] == f'{{"visits/records": {found.version}}}'
    assert night.findings() == []


def test_a_gate_takes_nothing_back(night: SmallNight) -> None:
    before = night.table("windows")
    assert gate(night).code == 3
    assert night.table("windows").equals(before)


def test_the_command(night: SmallNight) -> None:
    shown = gate(night)
    assert f"visits {DAY}, version" in shown.out
    assert "expectations are met in 3 windows" in shown.out
    assert "  held nyc: expect_" in shown.out
    assert "  warning kathmandu: expect_" in shown.out
    document = gate(night, "--json").document
    assert document.keys() == {
        "run", "feed", "business_date", "version", "engine", "windows", "passed", "failed", "held",
        "warnings", "left_out",
    }  # fmt: skip
    assert (document["business_date"], document["engine"]) == (f"{DAY}", "delta-rs")


def test_a_version_is_judged_by_what_nights_had_published(tmp_path: Path) -> None:
    night = SmallNight(tmp_path, declare(tmp_path))
    fails = {"column": "minutes", "min_value": 0, "max_value": 100}
    expectation = {"type": RANGE, "kwargs": fails, "severity": "critical"}
    night.deliver("nyc", [row("nyc", "x", minutes=500)])
    night.run(only=frozenset({"nyc"}))
    then = int(night.table("windows")["version"][0])
    night.deliver("nyc", [row("nyc", "x")], name="d2", at="2026-03-09T03:00:00Z")
    night.run(only=frozenset({"nyc"}))
    night.declared(suite={"name": "v", "expectations": [expectation]})
    assert gate(night).code == 0
    found = gate(night, "--version", f"{then}", "--json")
    assert (found.code, found.document["version"]) == (3, then)
    assert "no window of visits is settled" in refused(gate(night, "--version", "0"), 1)
    newest = int(night.table("windows")["version"][0])
    said = refused(gate(night, "--version", "99"), 2)
    assert said == f"--version: '99' is not there yet: the newest is {newest}"


def test_without_a_suite_or_a_settled_window_there_is_nothing_to_judge(
    night: SmallNight, tmp_path: Path
) -> None:
    bare = SmallNight(tmp_path, declare(tmp_path))
    assert refused(gate(bare), 2).endswith("visits.yaml: suite: there is none; name one")
    command = ["gate", night.folder / "visits.yaml", "--lake", night.lake.uri]
    said = refused(isopach(*command, "--date", "2020-01-01"), 1)
    assert said.endswith("no window of visits is settled on 2020-01-01")
