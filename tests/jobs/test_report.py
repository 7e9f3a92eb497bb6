"""What reports are made of, from ledgers written by hand and from nights that were run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from settled_lake import SETTLED, SettledLake, settled_lake
from small_night import SmallNight, declare, rows
from told_lake import DAY, EXPECTATIONS, NIGHTS, REASONS, SECRET, ToldLake, run_id, told_lake

from isopach.jobs.queries import MASK
from isopach.jobs.report_data import Report, report_of
from isopach.jobs.report_file import page_of
from isopach.jobs.report_history import phases_of, shares
from isopach.jobs.report_runs import masks_of, run_of
from isopach.jobs.report_sites import regions
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.ledger import record_run
from isopach.lake.places import Place
from isopach.lake.replace import upsert


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> ToldLake:
    return told_lake(tmp_path_factory.mktemp("told"))


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> SettledLake:
    return settled_lake(tmp_path_factory.mktemp("settled"))


def report(lake: SmallNight, run: str | None = None) -> Report:
    return report_of(lake.lake, run_of(lake.lake, run, None), lake.declaration)


# Nights that were run


def test_a_night_and_its_stream(settled: SettledLake) -> None:
    found = report(settled.night)
    figures = found.figures
    assert (figures.sites, figures.published, figures.held, figures.missing) == (2, 2, 0, 0)
    assert figures.read == figures.accepted + figures.rejected + figures.late + figures.duplicate
    assert (figures.read, figures.rejected, figures.duplicate) == (11, 1, 1)
    assert (figures.compared, figures.differing, figures.differences) == (2, 2, 5)
    assert found.causes["records"].sum() == 5
    assert found.headline.verdict == "published"
    assert found.headline.sentence == (
        "2 of 2 sites settled; 9 of 11 rows read were accepted; batch and stream agree in 0 of 2 "
        "windows."
    )
    left = {"pago": "not asked for", "kiritimati": "not asked for"}
    assert dict(found.sites.select("site", "state").iter_rows()) == left | dict.fromkeys(
        SETTLED, "settled"
    )


def test_what_a_night_took_and_wrote(settled: SettledLake) -> None:
    found = report(settled.night)
    assert set(json.loads(found.run.timings or "{}")["phases"]) == {
        "plan", "stage", "audit", "gate", "reconcile", "publish"
    }  # fmt: skip
    (slow,) = found.slowest
    assert sorted(slow["sites"]) == ["kathmandu", "nyc"]
    assert slow["rows"] > 0
    assert found.times["business_date"].to_list() == [DAY - timedelta(1), DAY]
    now = {table: version for table, _, version in found.written.iter_rows()}
    assert now.keys() == {
        "visits/records", "visits/quarantine", "visits/totals_by_minutes", "visits/totals_all"
    }  # fmt: skip
    assert all(before <= after for _, before, after in found.written.iter_rows())
    before = report(settled.night, found.times["run"][0]).written
    assert before["after"].to_list() <= found.written["before"].to_list()
    read = found.read.filter(site="nyc").row(0, named=True)
    assert (read["delivery"], read["declared"], read["read"]) == ("d1", 8, 8)
    assert len(read["manifest"]) == 64
    assert found.source == settled.night.landing.uri


def test_rows_set_aside_by_the_night_and_by_the_stream(settled: SettledLake) -> None:
    found = report(settled.night).reasons
    counted = {reason: (b, s) for reason, b, s in found.select("reason", "batch", "stream").rows()}
    assert counted == {"malformed": (1, 0), "duplicate_key": (1, 1)}


def test_a_window_that_a_later_run_settles(tmp_path: Path) -> None:
    night = SmallNight(tmp_path, declare(tmp_path))
    only = frozenset({"nyc"})
    night.deliver("nyc", rows("nyc", 3), rows=4)
    first = night.run(only=only).run
    assert report(night).sites.filter(site="nyc")["state"].to_list() == ["held"]
    night.deliver("nyc", rows("nyc", 4), name="d2", at="2026-03-09T03:00:00Z")
    second = night.run(only=only).run
    nyc = report(night, first).sites.filter(site="nyc").row(0, named=True)
    assert (nyc["state"], nyc["now"]) == ("held", f"settled by run {second}")
    assert report(night).sites.filter(site="nyc")["now"].to_list() == [None]


def test_a_window_that_was_approved_is_settled(tmp_path: Path) -> None:
    from commands import isopach

    night = SmallNight(tmp_path, declare(tmp_path))
    night.deliver("nyc", rows("nyc", 3), rows=4)
    run = night.run(only=frozenset({"nyc"})).run
    feed, place = str(tmp_path / "visits.yaml"), night.lake.uri
    done = isopach("publish", feed, "--lake", place, "--run", run, "--approve")
    assert done.code == 0, done.err
    found = report(night)
    (nyc,) = found.sites.filter(site="nyc").to_dicts()
    assert nyc["state"] == "settled"
    assert "declared 4 rows, read 3 (-1)" in nyc["reason"]
    assert found.headline.verdict == "published"


def test_a_night_that_failed(tmp_path: Path) -> None:
    told = told_lake(tmp_path, first=NIGHTS)
    newest = run_of(told.lake, None, None)
    failed = replace(newest, run="z", outcome="failed: OSError: no folder", versions_out="{}")
    record_run(told.lake, failed)
    found = told.report()
    assert (found.headline.verdict, found.headline.title) == ("failed", "Failed")
    assert found.headline.sentence == "The night published nothing: OSError: no folder"
    states = dict(found.sites.select("site", "state").iter_rows())
    assert (states.pop("pago"), set(states.values())) == ("not due yet", {"not judged"})
    assert found.written.is_empty()
    assert "The ledger records no table that this run left." in page_of(found)
    record_run(told.lake, replace(failed, outcome="running", ended=None))
    under_way = told.report()
    assert (under_way.headline.verdict, under_way.figures.seconds) == ("running", None)
    assert "has not ended yet" in page_of(under_way)


def test_runs_of_an_older_version_have_no_timings(tmp_path: Path) -> None:
    told = told_lake(tmp_path / "told", first=NIGHTS)
    (run,) = scan(told.lake, tables.RUNS).collect().to_dicts()
    schema = tables.RUNS.schema
    without = schema.remove(schema.get_field_index("timings"))
    lake = Place.of(tmp_path / "old")
    upsert(lake, replace(tables.RUNS, schema=without), pl.DataFrame([run]), ["run"])
    old = run_of(lake, None, None)
    assert (old.run, old.timings) == (told.newest, None)
    record_run(lake, replace(old, run="z", timings='{"plan": 1.0}'))
    assert scan(lake, tables.RUNS).sort("run").collect()["timings"].to_list() == [
        None, '{"plan": 1.0}'
    ]  # fmt: skip


# What the ledger says


def test_the_map_has_every_state(told: ToldLake) -> None:
    found = told.report().sites
    assert {site: state for site, state in found.select("site", "state").iter_rows()} == {
        "nyc": "warned", "boston": "held", "troy": "settled", "kathmandu": "settled",
        "pokhara": "missing", "pago": "not due yet", "rome": "held",
    }  # fmt: skip
    assert found.filter(site="boston")["reason"].item() == REASONS["boston"]
    assert found.filter(site="nyc")["reason"].item() == f"warning: {[*EXPECTATIONS][1]}"
    assert found.filter(site="rome")["region"].item() == "not registered"
    counted = regions(found).filter(region="US East").row(0, named=True)
    assert (counted["sites"], counted["held"], counted["warned"]) == (3, 1, 1)


def test_without_a_declaration_the_map_is_of_the_ledger(told: ToldLake) -> None:
    found = told.report(declared=False).sites
    assert "pago" not in found["site"].to_list()
    assert found["region"].unique().to_list() == ["no region"]


def test_gates_and_their_trend(told: ToldLake) -> None:
    found = told.report()
    gates = {row["expectation"]: row for row in found.gates.to_dicts()}
    critical, warning, info = (gates[name] for name in EXPECTATIONS)
    assert [*gates] == [*EXPECTATIONS]
    assert (critical["outcome"], critical["looked"], critical["passed"]) == ("failed", 30, 29)
    assert warning["trend"][-1] == "failed"
    assert warning["trend"].count("failed") == 30 - warning["passed"] == 6
    assert set(info["trend"]) == {"passed"}
    assert found.failed_windows["site"].to_list() == ["boston", "nyc"]
    before = told.report(run_id(DAY - timedelta(1)))
    first = before.gates.filter(expectation=critical["expectation"])
    assert set(first["trend"].item()) == {"passed"}


def test_a_run_that_no_suite_gated(settled: SettledLake) -> None:
    found = report(settled.night)
    assert found.gates.is_empty()
    assert found.failed_windows.is_empty()


def test_differences_have_examples_of_each_cause(told: ToldLake) -> None:
    found = told.report()
    assert found.causes.select("cause", "records", "sites").rows() == [
        ("never_sent", 10, 2), ("value_changed", 2, 2)
    ]  # fmt: skip
    assert found.examples["cause"].value_counts().sort("cause").rows() == [
        ("never_sent", 3), ("value_changed", 2)
    ]  # fmt: skip


def test_only_windows_that_do_not_add_up_are_told_one_by_one(told: ToldLake) -> None:
    found = told.report()
    assert found.unbalanced["site"].to_list() == ["kathmandu", "nyc", "troy"]
    assert found.balanced == 0


def test_shares_leave_out_dates_of_strays() -> None:
    figures = pl.DataFrame(
        {
            "business_date": [DAY, DAY, DAY - timedelta(9)],
            "mode": ["batch", "batch", "stream"],
            "read": [10, 5, 3],
            "accepted": [9, 5, 0],
            "rejected": [1, 0, 0],
            "late": [0, 0, 3],
            "duplicate": [0, 0, 0],
        }
    )
    found = shares(figures)
    assert found.select("business_date", "read", "rejected").rows() == [(DAY, 15, 1)]


def test_phases_of_runs_that_did_not_record_them(told: ToldLake) -> None:
    found = phases_of(told.report().times)
    assert found["run"].n_unique() == 30
    days = {row["business_date"]: row for row in found.filter(phase="whole run").to_dicts()}
    assert {day.day % 9 for day in days} == {0}
    assert found.filter(business_date=DAY)["phase"].to_list() == [
        "plan", "stage", "audit", "publish"
    ]  # fmt: skip


# What is not shown


def test_sensitive_values_are_masked_by_what_was_declared_then(told: ToldLake) -> None:
    for found in (told.report(), told.report(declared=False)):
        raw = found.reason_examples["raw"].to_list()
        assert MASK in raw  # not JSON: nobody can tell which part of it is sensitive
        assert not any(SECRET in text for text in raw)
        assert json.loads(raw[0])["note"] == MASK
        assert json.loads(raw[0])["fee"] == "x"


def test_what_is_sensitive_by_now_is_masked_too(told: ToldLake) -> None:
    run = run_of(told.lake, None, None)
    given = json.loads(run.parameters)
    given["feed"]["columns"]["note"]["sensitive"] = False
    then = replace(run, parameters=json.dumps(given))
    assert masks_of(then, None).sensitive == frozenset()
    assert masks_of(then, told.declaration).sensitive == {"note"}


def test_a_sensitive_key_is_masked(told: ToldLake) -> None:
    run = run_of(told.lake, None, None)
    given = json.loads(run.parameters)
    given["feed"]["columns"]["id"]["sensitive"] = True
    masks = masks_of(replace(run, parameters=json.dumps(given)), None)
    assert (masks.key("nyc-1"), masks.key(None)) == (MASK, None)


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json"])
def test_where_nothing_is_known_of_the_feed_all_is_masked(told: ToldLake, text: str) -> None:
    run = replace(run_of(told.lake, None, None), parameters=text)
    masks = masks_of(run, None)
    assert (masks.raw('{"a": 1}'), masks.key("a"), masks.raw(None)) == (MASK, MASK, None)


# Trends


def test_trends_add_up(told: ToldLake) -> None:
    found = told.trends(30)
    assert (found.first, found.last, found.days) == (DAY - timedelta(29), DAY, 30)
    assert found.nights.height == 30
    newest = found.nights.row(-1, named=True)
    assert (newest["settled"], newest["held"], newest["missing"]) == (3, 2, 1)
    assert newest["differences"] == 12
    counts = scan(told.lake, tables.COUNTS).filter(
        pl.col("business_date") >= found.first, mode="batch"
    )
    assert found.nights["read"].sum() == counts.select(pl.col("read").sum()).collect().item()
    assert found.states["count"].sum() == counts.collect().height
    assert found.sites["site"].to_list()[:3] == ["boston", "pokhara", "rome"]
    assert found.causes["count"].sum() == 12
    assert found.causes["business_date"].n_unique() == 30


@pytest.mark.parametrize(("days", "nights"), [(1, 1), (NIGHTS + 1, NIGHTS + 1), (3660, NIGHTS + 1)])
def test_trends_over_as_many_dates_as_there_are(told: ToldLake, days: int, nights: int) -> None:
    found = told.trends(days)
    assert found.nights.height == nights
    assert found.nights["business_date"].max() == date(2026, 3, 8)
