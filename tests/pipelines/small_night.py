"""A feed of four sites with few rows: declare it, deliver, run its nights, look at its tables."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from rich.console import Console

from isopach.feeds.load import Declaration, load_declaration
from isopach.jobs.delivered import Deliveries
from isopach.jobs.nightly import Options, Summary, feed_tables, run_night
from isopach.jobs.progress import Progress
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.pipelines.verify import Finding, verify

DAY = date(2026, 3, 8)
"""Daylight saving starts in New York: 23 hours."""

EXAMPLES = int(os.environ.get("ISOPACH_EXAMPLES", "5"))
"""On how many lakes a property of whole lakes is tried: each has several nights."""

FEED: dict[str, Any] = {
    "feed": "visits",
    "columns": {
        "id": {"type": "string", "required": True},
        "clinic": {"type": "string", "required": True},
        "at": {"type": "timestamp", "required": True},
        "minutes": "int32",
        "fee": "decimal(10,2)",
        "note": {"type": "string", "sensitive": True},
    },
    "site": "clinic",
    "key": ["id"],
    "event_time": "at",
    "totals": {
        "by_minutes": {"by": ["minutes"], "measures": {"visits": "count", "fee": "sum"}},
        "all": {"by": [], "measures": {"visits": "count", "longest": {"max": "minutes"}}},
    },
}
ZONES = {
    "nyc": "America/New_York",
    "kathmandu": "Asia/Kathmandu",
    "kiritimati": "Pacific/Kiritimati",
    "pago": "Pacific/Pago_Pago",
}
NOON = {"nyc": "16:00", "kathmandu": "06:15", "kiritimati": "00:00", "pago": "23:00"}
"""Midday of DAY at each site, UTC; Kiritimati's day begins 14 hours before UTC's, and is noon at
22:00 of the day before: 00:00 is two hours later."""


def row(site: str, id: str, **other: Any) -> dict[str, Any]:
    """Return a row that is good for DAY at a site, as JSON lines hold it."""
    at = f"{DAY}T{NOON[site]}:00Z"
    return {"id": id, "clinic": site, "at": at, "minutes": 10, "fee": "1.50", "note": None} | other


def rows(site: str, count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return good rows of a site, numbered, of three lengths."""
    return [row(site, f"{site}-{n}", minutes=n % 3) for n in range(first, first + count)]


def lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@dataclass(frozen=True)
class SmallNight:
    """A declared feed with a landing zone and a lake, all in one folder."""

    folder: Path
    declaration: Declaration

    @property
    def landing(self) -> Place:
        return Place.of(self.folder / "landing")

    @property
    def lake(self) -> Place:
        return Place.of(self.folder / "lake")

    def declared(self, **changes: Any) -> SmallNight:
        """Return this with another declaration of the feed."""
        return SmallNight(self.folder, declare(self.folder, {**FEED, **changes}))

    def deliver(
        self,
        site: str,
        content: bytes | Iterable[Mapping[str, Any]],
        *,
        day: date = DAY,
        name: str = "d1",
        file: str = "visits.jsonl",
        rows: int | None = -1,
        at: str = "2026-03-09T02:00:00Z",
    ) -> Path:
        """Deliver one file, rows as JSON lines; `rows` are declared, -1 for the true count."""
        data = content if isinstance(content, bytes) else lines(content)
        folder = self.folder / f"landing/visits/{day}/{site}/{name}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
        count = data.count(b"\n") if rows == -1 else rows
        manifest = {
            "site": site,
            "business_date": f"{day}",
            "delivery": name,
            "rows": count,
            "files": [{"name": file, "rows": count}],
            "delivered_at": at,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder / file

    def run(
        self, day: date = DAY, feed: Mapping[str, Any] | None = None, **options: Any
    ) -> Summary:
        """Run a night; `feed` are fields of the feed to run it with."""
        declaration = self.declaration
        if feed:
            changed = declaration.feed.model_copy(update=dict(feed))
            declaration = Declaration(changed, declaration.sites, declaration.path)
        silent = Progress(Console(quiet=True))
        return run_night(
            declaration, Deliveries(self.landing), self.lake, day, Options(**options), silent
        )

    def table(self, name: str) -> pl.DataFrame:
        """Return a table: `records`, `quarantine`, a total's or one of the ledger's."""
        to = feed_tables(self.declaration)
        found = {
            "records": to.records,
            "quarantine": to.quarantine,
            "windows": tables.WINDOWS,
            "counts": tables.COUNTS,
            "runs": tables.RUNS,
            "differences": tables.DIFFERENCES,
            "gates": tables.GATES,
            **{f"totals_{total}": table for total, table in to.totals.items()},
        }
        return scan(self.lake, found[name]).collect()

    def content(self) -> dict[str, pl.DataFrame]:
        """Return what all tables say now, without which run wrote it and when."""
        return content(self.lake, self.declaration)

    def states(self) -> dict[tuple[str, date], str]:
        """Return the state of each window."""
        return {(row[0], row[1]): row[2] for row in self.table("windows").select(KEY_STATE).rows()}

    def findings(self) -> list[Finding]:
        """Return what verification finds wrong."""
        to = feed_tables(self.declaration)
        return verify(self.lake, self.declaration.feed, to, None).findings


KEY_STATE = ["site", "business_date", "state"]


def declare(
    folder: Path, feed: Mapping[str, Any] = FEED, zones: Mapping[str, str] = ZONES
) -> Declaration:
    """Write a feed and its sites, and load them."""
    folder.mkdir(parents=True, exist_ok=True)
    sites = "".join(f"{site},{site},{zone},,02:00,,\n" for site, zone in zones.items())
    header = "site,name,time_zone,region,deadline,active_from,active_to\n"
    (folder / "sites.csv").write_text(header + sites)
    (folder / "visits.yaml").write_text(yaml.safe_dump(dict(feed), sort_keys=False))
    return load_declaration(str(folder / "visits.yaml"))


def content(lake: Place, declaration: Declaration) -> dict[str, pl.DataFrame]:
    """Return a feed's tables and its rows of the ledger, without which run wrote them and when.

    Of the counts only those that a window's state rests on, or was held by, are there.
    """
    to = feed_tables(declaration)
    of_feed = pl.col("feed") == to.feed
    windows = scan(lake, tables.WINDOWS).filter(of_feed).collect()
    counts = scan(lake, tables.COUNTS).filter(of_feed).collect()
    named = {
        "records": to.records,
        "quarantine": to.quarantine,
        **{f"totals_{name}": table for name, table in to.totals.items()},
    }
    found = {name: scan(lake, table).collect() for name, table in named.items()}
    found["windows"] = windows.drop("settled_by", "version", "updated").with_columns(
        settled=windows["settled_by"].is_not_null()
    )
    last = windows.select("site", "business_date", "run")
    found["counts"] = counts.join(last, on=["site", "business_date", "run"], how="semi")
    return {
        name: _ordered(table.drop("_run", "run", strict=False)) for name, table in found.items()
    }


def _ordered(table: pl.DataFrame) -> pl.DataFrame:
    return table.sort(table.columns)


def assert_same(first: Mapping[str, pl.DataFrame], second: Mapping[str, pl.DataFrame]) -> None:
    """Assert that two lakes say the same."""
    assert first.keys() == second.keys()
    for name, table in first.items():
        assert table.schema == second[name].schema
        assert table.equals(second[name]), f"{name}:\n{_difference(table, second[name])}"


def _difference(first: pl.DataFrame, second: pl.DataFrame) -> Any:
    return set(first.rows()) ^ set(second.rows())
