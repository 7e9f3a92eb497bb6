"""`isopach status`: who delivered, who is silent, and which windows are not settled in time."""

from __future__ import annotations

import json
import statistics
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from commands import Result, isopach, refused
from hypothesis import given
from hypothesis import strategies as st
from small_night import DAY, FEED, SmallNight, declare, row, rows
from small_stream import SmallStream, line

from isopach.feeds.load import load_declaration
from isopach.feeds.spool import SpoolWriter
from isopach.jobs.micro_batches import Options
from isopach.jobs.status import FEWEST, Status, status, usual
from isopach.jobs.stream import run_stream
from isopach.lake import tables
from isopach.lake.replace import upsert
from isopach.pipelines.spool import Spool

NEXT = DAY + timedelta(1)
LATER = datetime(2026, 3, 9, 18, tzinfo=UTC)
"""DAY's deadlines have passed at all four sites, and NEXT's at Kiritimati only."""


@pytest.fixture
def night(tmp_path: Path) -> SmallNight:
    return SmallNight(tmp_path, declare(tmp_path))


def stand(night: SmallNight, now: datetime = LATER, **asked: Any) -> Status:
    return status(night.lake, night.declaration, now, **asked)


def of(found: Status, site: str) -> dict[str, Any]:
    """Return a site's row."""
    return found.sites.row(by_predicate=pl.col("site") == site, named=True)


def alarms(found: Status) -> list[tuple[str, str | None, str]]:
    return [(kind, site, said) for kind, site, _, said in found.alarms.rows()]


def shown(night: SmallNight, *more: str) -> Result:
    return isopach("status", night.folder / "visits.yaml", "--lake", night.lake.uri, *more)


def stream(folder: Path, *lines: str) -> SmallStream:
    """Return a stream that has landed some events."""
    found = SmallStream.at(folder)
    with SpoolWriter(folder / "spool", "visits", "0") as writer:
        writer.append(lines)
    log = Spool(folder / "spool", "visits")
    run_stream(found.declaration, log, found.lake, Options(until_idle=True), {})
    return found


def event(site: str, day: date = DAY) -> str:
    return line(site, f"{site}-{day}", f"{day}T16:00")


def on(day: date, site: str = "nyc", count: int = 1) -> list[dict[str, Any]]:
    return [row(site, f"{n}", at=f"{day}T16:00:00Z") for n in range(count)]


# Deadlines


@pytest.mark.parametrize(
    ("site", "at", "met"),
    [
        ("nyc", "2026-03-09T06:00:00Z", True),
        ("nyc", "2026-03-09T02:00:01-04:00", False),
        ("kathmandu", "2026-03-08T20:15:00Z", True),
        ("kathmandu", "2026-03-08T20:15:01Z", False),
    ],
)
def test_a_deadline_is_met_or_missed_by_the_sites_own_clock(
    night: SmallNight, site: str, at: str, met: bool
) -> None:
    night.deliver(site, rows(site, 1), at=at)
    night.run(only=frozenset({site}))
    found = of(stand(night, day=DAY), site)
    assert (found["business_date"], found["deadline_met"]) == (DAY, met)
    assert found["last_delivery_at"] == datetime.fromisoformat(at)
    assert (found["last_delivery"], found["last_delivery_rows"]) == ("d1", 1)


@pytest.mark.parametrize(("minute", "met"), [("06:59", True), ("07:01", False)])
def test_a_deadline_in_the_hour_that_daylight_saving_skips(
    night: SmallNight, minute: str, met: bool
) -> None:
    before = DAY - timedelta(1)  # 02:00 of DAY is not there in New York: it is 03:00, 07:00 UTC
    night.deliver("nyc", on(before), day=before, at=f"{DAY}T{minute}:00Z")
    night.run(before, only=frozenset({"nyc"}))
    assert of(stand(night, day=before), "nyc")["deadline_met"] is met


def test_a_deadline_that_is_still_to_come_is_missed_by_nobody(night: SmallNight) -> None:
    night.deliver("nyc", rows("nyc", 1))
    night.run(only=frozenset({"nyc"}))
    early = datetime(2026, 3, 9, 12, tzinfo=UTC)  # 01:00 in Pago Pago
    found = stand(night, early)
    assert of(found, "pago")["business_date"] is None
    assert "pago" not in {site for _, site, _ in alarms(found)}
    hour_later = stand(night, early + timedelta(hours=1), day=DAY)
    assert of(hour_later, "pago")["business_date"] == DAY
    assert ("not_settled", "pago", "no night has looked at it since its deadline") in alarms(
        hour_later
    )


def test_before_the_first_deadline_nothing_is_due(night: SmallNight) -> None:
    night.deliver("nyc", rows("nyc", 1))
    night.run(only=frozenset({"nyc"}))
    found = stand(night, datetime(2026, 3, 7, tzinfo=UTC))
    assert (found.date, alarms(found)) == (None, [])
    assert of(found, "nyc")["last_delivery"] == "d1"


def test_a_correction_does_not_make_a_delivery_late(night: SmallNight) -> None:
    for name, at in (("d1", "2026-03-09T02:00:00Z"), ("d2", "2026-03-10T02:00:00Z")):
        night.deliver("nyc", rows("nyc", 1), name=name, at=at)
        night.run(only=frozenset({"nyc"}))
    found = of(stand(night, day=DAY), "nyc")
    assert (found["last_delivery"], found["deadline_met"]) == ("d2", True)


# Deliveries


def test_misses_in_a_row_are_counted_back_from_the_newest_date(night: SmallNight) -> None:
    for number, sites in enumerate((["nyc", "pago"], ["nyc"], ["nyc"])):
        day = DAY + timedelta(number)
        for site in sites:
            night.deliver(site, on(day, site), day=day)
        night.run(day, only=frozenset({"nyc", "pago"}))
    now = LATER + timedelta(2)
    found = stand(night, now, day=DAY + timedelta(2), only=["nyc", "pago"])
    assert (of(found, "nyc")["misses"], of(found, "nyc")["settled"]) == (0, 3)
    pago = of(found, "pago")
    assert (pago["misses"], pago["settled"], pago["held"]) == (2, 1, 2)
    assert (pago["last_delivery_date"], pago["deadline_met"]) == (DAY, False)
    assert alarms(found) == [
        ("dead_site", "pago", f"no delivery and no event since {DAY}"),
        ("not_settled", "pago", "held: not delivered, due 2026-03-11 13:00 UTC (and 1 before)"),
    ]
    assert alarms(stand(night, now, day=DAY, only=["nyc", "pago"])) == []


def test_a_delivery_of_no_rows_is_counted_as_such(night: SmallNight) -> None:
    night.deliver("nyc", b"", rows=0)
    night.run(only=frozenset({"nyc"}))
    found = stand(night, day=DAY, only=["nyc"])
    nyc = of(found, "nyc")
    assert (nyc["zero_rows"], nyc["last_delivery_rows"], nyc["misses"]) == (1, 0, 0)
    assert (nyc["settled"], nyc["deadline_met"], alarms(found)) == (1, True, [])


def test_a_held_window_is_not_settled_in_time(night: SmallNight) -> None:
    night.deliver("nyc", rows("nyc", 1), rows=3)
    night.run(only=frozenset({"nyc"}))
    found = stand(night, day=DAY, only=["nyc"])
    assert alarms(found) == [("not_settled", "nyc", "held: declared 3 rows, read 1 (-2)")]
    assert (of(found, "nyc")["held"], of(found, "nyc")["misses"]) == (1, 0)


def test_sites_are_asked_for_while_they_are_active(tmp_path: Path) -> None:
    declare(tmp_path)
    (tmp_path / "sites.csv").write_text(
        "site,name,time_zone,deadline,active_from,active_to\n"
        f"nyc,,America/New_York,02:00,,\nnew,,America/New_York,02:00,{NEXT},\n"
        f"old,,America/New_York,02:00,,{DAY}\ngone,,America/New_York,02:00,,2026-03-01\n"
    )
    night = SmallNight(tmp_path, load_declaration(str(tmp_path / "visits.yaml")))
    for day in (DAY, NEXT):
        night.deliver("nyc", on(day), day=day)
        night.run(day)
    now = LATER + timedelta(1)
    found = stand(night, now, day=DAY)
    assert {site: of(found, site)["active"] for site in ("nyc", "new", "old", "gone")} == {
        "nyc": True, "new": False, "old": True, "gone": False
    }  # fmt: skip
    assert [alarm[:2] for alarm in alarms(found)] == [("dead_site", "old"), ("not_settled", "old")]
    found = stand(night, now, day=NEXT)  # what old owes it still owes, and is silent by right
    assert [alarm[:2] for alarm in alarms(found)] == [
        ("dead_site", "new"), ("not_settled", "new"), ("not_settled", "old")
    ]  # fmt: skip
    assert of(found, "old")["deadline_met"] is None
    text = shown(night, "--date", f"{NEXT}").out
    assert "old" in text
    assert "gone" not in text
    assert "1 more sites are not active then" in text


def test_a_window_of_a_site_that_is_not_registered(night: SmallNight) -> None:
    night.deliver("rome", rows("nyc", 1))
    night.run(only=frozenset({"rome"}))
    found = stand(night, day=DAY, only=["rome"])
    ((kind, site, said),) = alarms(found)
    assert (kind, site) == ("not_settled", "rome")
    assert "held: site is not registered" in said
    assert of(found, "rome")["held"] == 1


# Events


def test_a_site_with_events_is_alive_though_it_does_not_deliver(tmp_path: Path) -> None:
    night = stream(tmp_path, event("nyc"), event("pago"))
    night.deliver("nyc", rows("nyc", 1))
    night.run()
    found = stand(night, day=DAY)
    assert {site for kind, site, _ in alarms(found) if kind == "dead_site"} == {
        "kathmandu", "kiritimati"
    }  # fmt: skip
    pago = of(found, "pago")
    assert (pago["last_event_date"], pago["last_delivery_date"]) == (DAY, None)
    assert datetime.now(UTC) - pago["last_event_at"] < timedelta(minutes=5)
    assert of(found, "kathmandu")["last_event_date"] is None


def test_a_feed_without_any_night_has_one_alarm_for_all_its_windows(tmp_path: Path) -> None:
    night = stream(tmp_path, event("nyc"), event("pago"))
    found = stand(night, day=DAY)
    assert alarms(found) == [
        ("no_night", None, f"no night was run for {DAY}: 4 windows past their deadline are not "
         "settled"),
        ("dead_site", "kathmandu", "no delivery and no event"),
        ("dead_site", "kiritimati", "no delivery and no event"),
    ]  # fmt: skip
    nyc = of(found, "nyc")
    assert (nyc["provisional"], nyc["misses"], nyc["deadline_met"]) == (1, 0, None)


def test_dates_without_a_night_are_told_together(night: SmallNight) -> None:
    for number in (0, 3):
        day = DAY + timedelta(number)
        night.deliver("nyc", on(day), day=day)
        night.run(day, only=frozenset({"nyc"}))
    last = DAY + timedelta(4)
    found = stand(night, LATER + timedelta(5), day=last, only=["nyc"])
    assert [said for kind, _, said in alarms(found) if kind == "no_night"] == [
        f"no night was run for {NEXT}..{DAY + timedelta(2)}: 8 windows past their deadline are "
        "not settled",
        f"no night was run for {last}: 4 windows past their deadline are not settled",
    ]
    assert of(found, "nyc")["misses"] == 0  # whether it delivered, nobody has looked
    long_ago = stand(night, LATER + timedelta(400), only=["nyc"])
    (said,) = (said for _, _, said in alarms(long_ago))
    assert said.startswith("no night was run for 2027-03-16..2027-04-13: 112 windows")
    assert long_ago.date == date(2027, 4, 13)


def test_rows_that_were_set_aside_alone_make_no_window_to_settle(tmp_path: Path) -> None:
    night = stream(tmp_path, event("nyc"), event("nyc", NEXT), event("nyc", DAY - timedelta(9)))
    assert night.table("windows").height == 3
    found = stand(night, LATER + timedelta(1), day=NEXT, only=["nyc"])
    assert [said for _, _, said in alarms(found)] == [
        f"no night was run for {DAY}..{NEXT}: 8 windows past their deadline are not settled"
    ]


# The usual band


def settled(counts: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"site": ["nyc"] * len(counts), "settled_rows": counts})


def test_the_usual_band_is_not_moved_by_odd_nights() -> None:
    counts = [100, 102, 98, 101, 99, 100, 0, 5000]
    assert usual(settled(counts)).rows() == [("nyc", 8, 100, 93, 107)]
    assert usual(settled(counts[:6])).rows() == [("nyc", 6, None, None, None)]


@given(st.lists(st.integers(0, 10**6), min_size=FEWEST, max_size=28))
def test_the_usual_band_is_the_median_and_three_deviations(counts: list[int]) -> None:
    middle = statistics.median(counts)
    reach = 3 * 1.4826 * statistics.median(abs(count - middle) for count in counts)
    ((_, nights, rows, low, high),) = usual(settled(counts)).rows()
    assert nights == len(counts)
    assert abs(rows - middle) <= 0.5
    assert abs(low - max(middle - reach, 0)) <= 0.5 + 1e-6
    assert abs(high - middle - reach) <= 0.5 + 1e-6


# The command


def test_the_command_prints_and_ends_with_3_where_there_are_alarms(tmp_path: Path) -> None:
    night = stream(tmp_path, event("nyc"))
    for site in ("nyc", "kathmandu"):
        night.deliver(site, rows(site, 2))
    night.run(only=frozenset({"nyc", "kathmandu", "pago"}))
    arguments = ["--date", f"{DAY}", "--site", "nyc", "--site", "pago"]
    found = shown(night, *arguments)
    assert found.code == 3
    assert f"visits: business date {DAY}" in found.out
    assert "met       2026-03-08 d1 (03-09 02:00Z)  2026-03-08 (" in found.out
    assert f"  dead_site pago {DAY}: no delivery and no event\n" in found.out
    assert found.out.endswith("2 alarms\n")
    (document,) = shown(night, *arguments, "--json").document["feeds"]
    assert (document["feed"], document["date"]) == ("visits", f"{DAY}")
    assert [site["site"] for site in document["sites"]] == ["nyc", "pago"]
    assert [alarm["alarm"] for alarm in document["alarms"]] == ["dead_site", "not_settled"]
    assert document["sites"][0]["deadline"] == "2026-03-09 06:00:00+00:00"
    found = shown(night, "--date", f"{DAY}", "--site", "nyc")
    assert (found.code, found.out.splitlines()[-1]) == (0, "no alarms")


def test_without_a_feed_all_that_the_lake_has_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = SmallNight(tmp_path / "feeds", declare(tmp_path / "feeds", FEED, {"nyc": "UTC"}))
    night.deliver("nyc", rows("nyc", 1))
    night.run()
    monkeypatch.chdir(tmp_path)
    lake = ["--lake", night.lake.uri, "--date", f"{DAY}"]
    found = isopach("status", *lake, "--json")
    assert (found.code, [one["feed"] for one in found.document["feeds"]]) == (0, ["visits"])
    assert isopach("status", *lake, "--site", "nyc").code == 0
    assert "'oslo' is not registered in" in refused(isopach("status", *lake, "--site", "oslo"), 2)


def test_a_ledger_of_an_older_version_does_not_know_when_deliveries_came(
    night: SmallNight,
) -> None:
    night.deliver("nyc", rows("nyc", 1))
    night.run(only=frozenset({"nyc"}))
    counts = night.table("counts").drop("arrived", "streamed")
    fields = [field for field in tables.COUNTS.schema if field.name in counts.columns]
    (night.folder / "lake/ledger/counts").rename(night.folder / "moved")
    upsert(night.lake, tables.Table("ledger/counts", pa.schema(fields)), counts, ["business_date"])
    nyc = of(stand(night, day=DAY), "nyc")
    assert (nyc["last_delivery"], nyc["last_delivery_at"], nyc["deadline_met"]) == (
        "d1",
        None,
        None,
    )
    assert "unknown   2026-03-08 d1 " in shown(night, "--date", f"{DAY}").out


def test_bad_input_is_refused(night: SmallNight) -> None:
    nothing = refused(shown(night), 1)
    assert "the ledger has nothing of visits: no night or stream of it was run there" in nothing
    assert "nothing of any feed; is --lake right?" in refused(
        isopach("status", "--lake", night.lake.uri), 1
    )
    night.deliver("nyc", rows("nyc", 1))
    night.run(only=frozenset({"nyc"}))
    assert "nothing of visits up to 2020-01-01" in refused(shown(night, "--date", "2020-01-01"), 1)
    assert "--date: 'x' is not a date" in refused(shown(night, "--date", "x"), 2)
    assert "--site: 'oslo' is not registered in" in refused(shown(night, "--site", "oslo"), 2)
    assert "no such feed" in refused(isopach("status", "none", "--lake", night.lake.uri), 2)
    no_such = refused(isopach("status", "--lake", night.lake.uri), 2)
    assert no_such.startswith("visits: no such feed: give a path to its YAML")


def test_the_document_is_plain_json(night: SmallNight) -> None:
    night.deliver("nyc", rows("nyc", 1))
    night.run(only=frozenset({"nyc"}))
    text = shown(night, "--json").out
    assert json.loads(text)["feeds"][0]["sites"][0].keys() >= {
        "site", "business_date", "active", "deadline", "deadline_met", "last_delivery",
        "last_delivery_date", "last_delivery_at", "last_delivery_rows", "last_event_date",
        "last_event_at", "misses", "zero_rows", "usual_low", "usual_rows", "usual_high",
        "usual_nights", "settled", "held", "provisional", "settling",
    }  # fmt: skip
