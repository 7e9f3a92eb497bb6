"""A lake whose ledger is written by hand: five weeks of nights of a few sites, and one to report.

The last night has a window in every state, gates that fail, records that differ and rows set aside.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from small_night import FEED

from isopach.feeds.load import Declaration, load_declaration
from isopach.jobs.report_data import Report, report_of
from isopach.jobs.report_runs import run_of
from isopach.jobs.report_trends import Trends, trends_of
from isopach.lake import tables
from isopach.lake.places import Place
from isopach.lake.replace import upsert
from isopach.lake.tables import Table

DAY = date(2026, 3, 8)
NIGHTS = 34
SITES = {
    "nyc": ("New York", "US East", "America/New_York", "02:00"),
    "boston": ("Boston", "US East", "America/New_York", "02:00"),
    "troy": ("Troy", "US East", "America/New_York", "02:00"),
    "kathmandu": ("Kathmandu", "Nepal", "Asia/Kathmandu", "02:00"),
    "pokhara": ("Pokhara", "Nepal", "Asia/Kathmandu", "02:00"),
    "pago": ("Pago Pago", "Pacific", "Pacific/Pago_Pago", "23:00"),
}
"""Pago Pago's deadline is after the last night."""
REASONS = {
    "boston": "declared 120 rows, read 113 (-7)",
    "pokhara": "not delivered, due 2026-03-08 20:15 UTC",
}
STRANGER = "rome"
SECRET = "secret"
Say = Callable[[str], str]


def plainly(text: str) -> str:
    return text


@dataclass(frozen=True)
class ToldLake:
    """The lake, and what was declared."""

    lake: Place
    declaration: Declaration
    say: Say = plainly

    @property
    def newest(self) -> str:
        return run_id(DAY)

    def report(self, run: str | None = None, declared: bool = True) -> Report:
        chosen = run_of(self.lake, run, None)
        return report_of(self.lake, chosen, self.declaration if declared else None)

    def trends(self, days: int) -> Trends:
        return trends_of(self.lake, "visits", days, self.declaration)


def run_id(day: date) -> str:
    return f"{day + timedelta(1):%Y%m%d}T093000000000-abcdef"


def told_lake(folder: Path, say: Say = plainly, first: int = 0) -> ToldLake:
    """Write the lake.

    Args:
        say: what every text that comes from outside is put through.
        first: the first of the nights, of 0 to NIGHTS.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sites.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["site", "name", "time_zone", "region", "deadline"])
        for site, (name, region, zone, deadline) in SITES.items():
            writer.writerow([site, say(name), zone, say(region), deadline])
    (folder / "visits.yaml").write_text(yaml.safe_dump(FEED, sort_keys=False))
    told = ToldLake(Place.of(folder / "lake"), load_declaration(str(folder / "visits.yaml")), say)
    days = [DAY - timedelta(NIGHTS - n) for n in range(first, NIGHTS + 1)]
    _write(told, tables.RUNS, [_run(told, day) for day in days], ["run"])
    _write(told, tables.COUNTS, [row for day in days for row in _counts(told, day)], KEY)
    _write(told, tables.WINDOWS, [row for day in days for row in _windows(told, day)], KEY[1:])
    _write(told, tables.GATES, [row for day in days for row in _gates(told, day)], ["run", "site"])
    _write(told, tables.DIFFERENCES, _differences(told), KEY)
    _write(told, tables.quarantine("visits"), _aside(told), ["_run"])
    return told


KEY = ["run", "site", "business_date"]


def _write(
    told: ToldLake, table: Table, rows: Sequence[Mapping[str, Any]], key: Sequence[str]
) -> None:
    schema = tables.empty_frame(table.schema).schema
    known = [{name: row.get(name) for name in schema} for row in rows]
    frame = pl.DataFrame(known, schema=schema)
    shared = {"feed": "visits", "mode": "batch"}
    fill = [pl.col(n).fill_null(text) for n, text in shared.items() if n in schema]
    upsert(told.lake, table, frame.with_columns(fill), key)


def _run(told: ToldLake, day: date) -> dict[str, Any]:
    started = datetime.combine(day + timedelta(1), time(9, 30), UTC)
    seconds = {"plan": 0.4, "stage": 3 + day.day / 10, "audit": 0.1, "publish": 0.9}
    declared = json.loads(told.declaration.feed.model_dump_json())
    given = {"date": f"{day}", "feed": declared, "landing": told.say("/landing"), "sites": []}
    return {
        "run": run_id(day),
        "cadence": "nightly",
        "engine": "FnApiRunner",
        "who": told.say("ada@host"),
        "code_version": "0.1.0",
        "parameters": json.dumps(given, sort_keys=True),
        "parameters_hash": "da89cfb9adaf8364",
        "started": started,
        "ended": started + timedelta(seconds=sum(seconds.values())),
        "outcome": "held" if day == DAY else "published",
        "versions_in": json.dumps({"visits/records": day.day, "visits/quarantine": day.day}),
        "versions_out": json.dumps({"visits/records": day.day + 2, "visits/quarantine": day.day}),
        "process": "host/1",
        "timings": None if day.day % 9 == 0 else json.dumps(_timings(told, seconds)),
    }


def _timings(told: ToldLake, seconds: dict[str, float]) -> dict[str, Any]:
    slow = {"group": 0, "rows": 1200, "seconds": 0.31, "sites": [told.say("nyc")] * 7}
    return {"phases": seconds, "slowest": [slow, {**slow, "group": 1, "sites": ["pago"]}]}


def _counts(told: ToldLake, day: date) -> list[dict[str, Any]]:
    last = day == DAY
    judged = [site for site in SITES if not last or site != "pago"]
    rows = [_night(told, day, site, number) for number, site in enumerate(judged)]
    if last:
        rows += [{**_night(told, day, told.say(STRANGER), 5), "reason": told.say("unregistered")}]
    streams = [{**row, **_streamed(row)} for row in rows if row["read"]]
    return rows + streams


def _night(told: ToldLake, day: date, site: str, number: int) -> dict[str, Any]:
    reason = REASONS.get(site) if day == DAY else None
    missing = site == "pokhara" and day == DAY
    rejected, late, duplicate = day.day % 4, day.day % 3, number
    read = 0 if missing else 113 + rejected + late + duplicate
    aside = {"rejected": rejected, "late": late, "duplicate": duplicate}
    return {
        "run": run_id(day),
        "site": site,
        "business_date": day,
        "read": read,
        "accepted": 0 if missing else 113,
        **(dict.fromkeys(aside, 0) if missing else aside),
        "declared": None if missing else read + 7 * (reason is not None),
        "bytes": 0 if missing else 4096,
        "checksum": "0" * 32,
        "delivery": None if missing else told.say("d1"),
        "reason": reason and told.say(reason),
        "extra": json.dumps({told.say("till"): 3}) if site == "nyc" and day == DAY else None,
        "arrived": None if missing else datetime.combine(day + timedelta(1), time(6), UTC),
        "streamed": None if missing or reason else 112,
        "manifest": None if missing else "52b432b5c041b5c8" * 4,
    }


def _streamed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "mode": "stream",
        "run": "20260101T000000000000-stream",
        "accepted": 112,
        "read": 112 + row["late"],
        "rejected": 0,
        "duplicate": 0,
        **dict.fromkeys(["declared", "bytes", "delivery", "reason", "extra", "streamed"]),
    }


def _windows(told: ToldLake, day: date) -> list[dict[str, Any]]:
    rows = []
    for site in SITES:
        reason = REASONS.get(site) if day == DAY else None
        waits = day == DAY and site == "pago"
        state = "held" if reason else "provisional" if waits else "settled"
        settled = {"settled_by": run_id(day), "run": run_id(day), "rows": 113, "kept": 0}
        base = {"site": site, "business_date": day, "state": state, "rows": 0}
        base |= {"reason": reason and told.say(reason), "checksum": "0" * 32}
        rows.append(base | (settled if state == "settled" else {}))
    return rows


EXPECTATIONS = {
    "expect_column_values_to_be_between(minutes)": ("critical", "window"),
    "expect_column_values_to_match_regex(note)": ("warning", "window"),
    "expect_column_mean_to_be_between(fee)": ("info", "run"),
}


def _gates(told: ToldLake, day: date) -> list[dict[str, Any]]:
    """Return a line of each expectation; in the last night two failed, and in some before one."""
    rows = []
    for number, (expectation, (severity, grain)) in enumerate(EXPECTATIONS.items()):
        fails = (number < 2 and day == DAY) or (number == 1 and day.day % 7 == 0)
        line = {
            "run": run_id(day),
            "suite": told.say("visits"),
            "expectation": told.say(expectation),
            "kwargs": json.dumps({"column": "x", "max_value": told.say("10")}),
            "severity": severity,
            "grain": grain,
            "business_date": day,
            "outcome": "failed" if fails else "passed",
            "observed": told.say("3 of 560 rows"),
            "unexpected": 3 * fails,
            "evaluated": 560,
            "windows": 5 if grain == "window" else None,
            "failed": int(fails) if grain == "window" else None,
        }
        window = {"site": ["boston", "nyc"][number % 2], "windows": None, "failed": None}
        rows += [line, line | window] if fails else [line]
    return rows


def _differences(told: ToldLake) -> list[dict[str, Any]]:
    causes = {"never_sent": ("missing", 5), "value_changed": ("changed", 1)}
    return [
        {
            "run": run_id(DAY),
            "site": site,
            "business_date": DAY,
            "key": told.say(f"{site}-{number}"),
            "kind": kind,
            "cause": cause,
            "evidence": told.say("no event with this key was read"),
            "columns": told.say("fee") if kind == "changed" else None,
            "stream": json.dumps({"fee": told.say("1.50")}) if kind == "changed" else None,
            "batch": json.dumps({"id": told.say(f"{site}-{number}"), "note": "•••"}),
            "batch_source": told.say("part-0000.jsonl"),
            "batch_position": number,
            "repaired_by": run_id(DAY),
        }
        for cause, (kind, count) in causes.items()
        for site in ("nyc", "troy")
        for number in range(count)
    ]


def _aside(told: ToldLake) -> list[dict[str, Any]]:
    reasons = {"malformed": ("rejected", "fee", 5), "not_json": ("rejected", None, 1)}
    row = {"id": told.say("nyc-1"), "fee": told.say("x"), "note": SECRET}
    return [
        {
            "disposition": disposition,
            "reason": told.say(reason),
            "column": column,
            "raw": f"{{{SECRET}" if reason == "not_json" else json.dumps(row),
            "site": "nyc",
            "business_date": DAY,
            "key": told.say("nyc-1"),
            "_mode": mode,
            "_source": told.say("part-0000.jsonl"),
            "_position": number,
            "_run": run_id(DAY) if mode == "batch" else "20260101T000000000000-stream",
        }
        for mode in ("batch", "stream")
        for reason, (disposition, column, count) in reasons.items()
        for number in range(count)
    ]
