from __future__ import annotations

from datetime import date, time
from pathlib import Path

import pytest
from declaring import FEED, SITES, changed, faults, write

from isopach.feeds.sites import load_sites
from isopach.feeds.zones import zones

HEADER = SITES.partition("\n")[0]


def test_sites_are_read(tmp_path: Path) -> None:
    write(tmp_path)
    sites = load_sites(tmp_path / "sites.csv")
    assert [site.site for site in sites] == ["A", "B"]
    assert len(sites) == 2
    assert "A" in sites
    assert "C" not in sites
    assert sites.by_id["B"].deadline == time(6, 30)
    assert sites.zone("B") == "Asia/Kathmandu"
    assert sites.zone("unregistered") == "UTC"


def test_site_is_active_from_and_to_its_dates_inclusive(tmp_path: Path) -> None:
    write(tmp_path)
    first, second = load_sites(tmp_path / "sites.csv")
    days = [date(2019, 12, 31), date(2020, 1, 1), date(2030, 12, 31), date(2031, 1, 1)]
    assert [first.active(day) for day in days] == [False, True, True, True]
    assert [second.active(day) for day in days] == [True, True, True, False]


def test_window_is_the_local_day_in_utc(tmp_path: Path) -> None:
    write(tmp_path)
    sites = load_sites(tmp_path / "sites.csv")
    hour = 3_600_000_000
    start, end = sites.window("A", date(2026, 3, 29))
    assert (end - start) // hour == 23
    assert start == 1_774_738_800_000_000  # 2026-03-28T23:00Z


def test_byte_order_mark_of_a_spreadsheet_is_ignored(tmp_path: Path) -> None:
    write(tmp_path, sites="\ufeff" + SITES)
    assert len(load_sites(tmp_path / "sites.csv")) == 2


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            "C,c,Europe/Berlinn,,02:00,,",
            "sites.csv:4: time_zone: 'Europe/Berlinn' is not an IANA time zone; did you mean "
            "Europe/Berlin or Europe/Tallinn or Europe/Helsinki?",
        ),
        (
            "C,c,Nowhere,,02:00,,",
            "sites.csv:4: time_zone: 'Nowhere' is not an IANA time zone, such as Europe/Berlin",
        ),
        ("A,c,UTC,,02:00,,", "sites.csv:4: site: 'A' is registered twice"),
        (
            "C,c,UTC,,25:00,,",
            "sites.csv:4: deadline: '25:00': Input should be in a valid time format, "
            "hour value is outside expected range of 0-23",
        ),
        (
            "C,c,UTC,,02:61,,",
            "sites.csv:4: deadline: '02:61': Input should be in a valid time format, "
            "minute value is outside expected range of 0-59",
        ),
        (
            "C,c,UTC,,2am,,",
            "sites.csv:4: deadline: '2am' is not a time of day; write HH:MM, such as 02:00",
        ),
        (
            "C,c,UTC,,,,",
            "sites.csv:4: deadline: '' is not a time of day; write HH:MM, such as 02:00",
        ),
        (
            "../C,c,UTC,,02:00,,",
            "sites.csv:4: site: '../C': "
            "String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'",
        ),
        (
            "C,c,UTC,,02:00,2026-13-01,",
            "sites.csv:4: active_from: '2026-13-01': Input should be a valid date or datetime, "
            "month value is outside expected range of 1-12",
        ),
        (
            "C,c,UTC,,02:00,2026-02-01,2026-01-31",
            "sites.csv:4: active_to 2026-01-31 is before active_from 2026-02-01",
        ),
        ("C,c,UTC", "sites.csv:4: 3 values, and the header names 7 fields"),
        ("C,c,UTC,,02:00,,,spare", "sites.csv:4: 8 values, and the header names 7 fields"),
        (
            '\n"C","two\nlines",Nowhere,,02:00,,',
            "sites.csv:6: time_zone: 'Nowhere' is not an IANA time zone, such as Europe/Berlin",
        ),
        ('C,"c,UTC,,02:00,,', "sites.csv: unexpected end of data"),
    ],
)
def test_bad_site_is_explained(tmp_path: Path, row: str, expected: str) -> None:
    assert faults(write(tmp_path, sites=f"{SITES}{row}\n")) == [expected]


def test_every_bad_site_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path, sites=f"{SITES}C,c,Mars/Base,,02:00,,\nB,b,UTC,,26:00,,\n")
    assert [line.split(": ")[:2] for line in faults(path)] == [
        ["sites.csv:4", "time_zone"],
        ["sites.csv:5", "deadline"],
    ]


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        ("", ["sites.csv: no sites: the registry is empty"]),
        (f"{HEADER}\n", ["sites.csv: no sites: the registry is empty"]),
        (
            f"{HEADER},phone\nA,a,UTC,,02:00,,,1\nB,b,UTC,,02:00,,,2\n",
            [
                "sites.csv:1: phone: not a field that is known here; "
                "allowed: site, name, time_zone, region, deadline, active_from, active_to"
            ],
        ),
        (
            "site,name,region\nA,a,North\nB,b,South\n",
            ["sites.csv:1: time_zone: must be given", "sites.csv:1: deadline: must be given"],
        ),
        (
            "site,name,time_zone,deadline,name\nA,a,UTC,02:00,b\n",
            ["sites.csv:1: name: stands twice", "sites.csv:1: name: stands twice"],
        ),
    ],
)
def test_registry_as_a_whole_is_checked_once(
    tmp_path: Path, sites: str, expected: list[str]
) -> None:
    assert faults(write(tmp_path, sites=sites)) == expected


def test_missing_registry_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, changed("site: store", "site: store\nsites: shops.csv", FEED))
    assert faults(path) == ["shops.csv: No such file or directory"]


def test_zones_are_those_of_places() -> None:
    assert "Asia/Kathmandu" in zones()
    assert not {"localtime", "Factory"} & zones()
