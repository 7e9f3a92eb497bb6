"""The night's work as every peer is given it on the command line."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

REQUIRED = ("event_id", "store", "sold_at", "sku")
KEY = ("store", "event_id")

# What a dictionary cannot shorten: encoding these plainly makes delta-rs a quarter faster.
MOSTLY_DISTINCT = ("event_id", "sold_at", "customer", "revenue", "_position")


class StoreDay(NamedTuple):
    """A store's business date as the UTC interval `[opens, closes)`."""

    store: str
    opens: datetime
    closes: datetime


@dataclass(frozen=True)
class Task:
    """Consolidate the files of one business date under `landing` into a Delta table at `out`."""

    landing: Path
    day: date
    out: Path
    sites: Path

    def files(self) -> list[str]:
        """Return the paths of all stores' data files."""
        found = sorted(self.landing.glob(f"sales/{self.day}/*/d1/*.parquet"))
        if not found:
            raise FileNotFoundError(f"no sales of {self.day} under {self.landing}")
        return [str(path) for path in found]

    def zones(self) -> dict[str, str]:
        """Return each registered store's IANA time zone."""
        with self.sites.open(newline="", encoding="utf-8") as file:
            return {row["site"]: row["time_zone"] for row in csv.DictReader(file)}

    def store_days(self) -> list[StoreDay]:
        """Return when the business date begins and ends at each registered store."""
        tomorrow = self.day + timedelta(days=1)
        return [
            StoreDay(store, midnight(self.day, zone), midnight(tomorrow, zone))
            for store, zone in self.zones().items()
        ]


def midnight(day: date, zone: str) -> datetime:
    """Return the first instant of a local calendar day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def parse(arguments: Sequence[str] | None = None) -> Task:
    """Read a task from the command line."""
    parser = argparse.ArgumentParser(description="Consolidate one night of sales.")
    parser.add_argument("--landing", type=Path, required=True, help="the landing zone's folder")
    parser.add_argument("--date", type=date.fromisoformat, required=True, help="business date")
    parser.add_argument("--out", type=Path, required=True, help="where the Delta table goes")
    parser.add_argument("--sites", type=Path, default=Path("feeds/sites.csv"), help="registry")
    args = parser.parse_args(arguments)
    return Task(args.landing, args.date, args.out, args.sites)
