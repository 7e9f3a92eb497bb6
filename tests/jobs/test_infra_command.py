"""What is rendered for Terraform, and what has drifted."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from commands import isopach, refused
from hypothesis import given
from hypothesis import strategies as st

from isopach.feeds.load import SHIPPED
from isopach.feeds.zones import zones
from isopach.jobs.provisioning import FILE, back_seconds, start_of

GRACE = timedelta(minutes=15)


@pytest.fixture
def feeds(tmp_path: Path) -> Path:
    for name in ("sales.yaml", "sites.csv"):
        (tmp_path / name).write_text((SHIPPED / name).read_text())
    return tmp_path


def test_nights_are_of_time_zones_and_deadlines(feeds: Path) -> None:
    done = isopach("infra", "render", feeds / "sales.yaml", "--to", feeds / "env", "--json")
    assert done.code == 0, done.err
    sales = json.loads((feeds / "env" / FILE).read_text())["feeds"]["sales"]
    assert done.document["feeds"]["sales"] == sales
    assert sales["cadence"] == "continuous"
    assert len(sales["nights"]) == 12
    assert sum(len(night["sites"]) for night in sales["nights"].values()) == 200
    tokyo = sales["nights"]["sales-asia-tokyo-0130"]
    assert {**tokyo, "sites": []} == {
        "time_zone": "Asia/Tokyo",
        "deadline": "01:30",
        "run_at": "01:45",
        "back_seconds": int((1.75 + 12 - 9) * 3600),
        "sites": [],
    }


def test_what_has_drifted_is_named(feeds: Path) -> None:
    arguments = ("infra", "check", feeds / "sales.yaml", "--to", feeds)
    missing = isopach(*arguments)
    assert (missing.code, "is not there" in missing.out) == (1, True)
    assert isopach("infra", "render", feeds / "sales.yaml", "--to", feeds).code == 0
    sound = isopach(*arguments)
    assert (sound.code, sound.out.strip().endswith("is what the feeds declare")) == (0, True)
    registry = (feeds / "sites.csv").read_text().splitlines()
    moved = registry[1].replace("America/New_York", "America/Chicago")
    (feeds / "sites.csv").write_text("\n".join([registry[0], moved, *registry[2:]]) + "\n")
    text = (feeds / "sales.yaml").read_text().replace("cadence: continuous", "cadence: nightly")
    (feeds / "sales.yaml").write_text(text)
    done = isopach(*arguments, "--json")
    assert done.code == 1
    told = done.document["drift"]
    assert [line.removeprefix(f"{feeds / FILE}: ") for line in told] == [
        "feeds.sales.cadence: 'continuous', and 'nightly' is declared",
        "feeds.sales.nights.sales-america-chicago-0200.sites: lacks S001; has too many: none",
        "feeds.sales.nights.sales-america-new-york-0200.sites: lacks none; has too many: S001",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sales", "--grace", "soon"), "--grace: 'soon' is not a duration"),
        (("nothing",), "no such feed"),
        (("sales", "sales"), "'sales' is given twice"),
    ],
)
def test_bad_usage(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    assert said in refused(isopach("infra", "render", *arguments, "--to", tmp_path), 2)
    assert not (tmp_path / FILE).exists()


def test_a_file_that_is_no_json_is_bad_usage(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    assert FILE in refused(isopach("infra", "check", "sales", "--to", tmp_path), 2)


def test_a_start_that_clocks_leave_out_is_moved() -> None:
    assert start_of("America/Chicago", time(2), GRACE, 2026) == timedelta(hours=3)
    assert start_of("Australia/Lord_Howe", time(1, 20), GRACE, 2026) == timedelta(hours=2.5)
    assert start_of("Asia/Tokyo", time(2), GRACE, 2026) == timedelta(hours=2.25)


ANY_ZONE = st.sampled_from(sorted(zones()))
ANY_DAY = st.dates(date(2026, 1, 2), date(2027, 12, 30))


@given(
    ANY_ZONE,
    ANY_DAY,
    st.times(max_value=time(23, 59)).map(lambda due: due.replace(second=0, microsecond=0)),
    st.integers(0, 3600),
)
def test_the_business_date_is_found_from_the_clock_of_utc(
    zone: str, day: date, due: time, delay: int
) -> None:
    start = start_of(zone, due, GRACE, 2026)
    midnight = datetime.combine(day + timedelta(days=1), time())
    local = (midnight + start).replace(tzinfo=ZoneInfo(zone))
    begun = local.astimezone(UTC)
    assert begun.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == midnight + start, "no such hour"
    seen = begun + timedelta(seconds=delay - back_seconds(zone, start, 2026))
    assert seen.date() == day
