"""Deliveries in the landing zone, for those who write them: a folder, a manifest, a moment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from isopach.feeds.days import day_bounds


@dataclass(frozen=True)
class File:
    """A data file's entry in the manifest."""

    name: str
    rows: int


@dataclass(frozen=True)
class Delivery:
    """A site's delivery for a business date: where it lies and when it is handed over."""

    landing: Path
    feed: str
    site: str
    zone: str
    day: date
    name: str
    delay: timedelta  # from the end of the site-local day

    @property
    def folder(self) -> Path:
        """Return the delivery's folder in the landing zone."""
        return self.landing / self.feed / f"{self.day}" / self.site / self.name

    @property
    def delivered_at(self) -> str:
        """Return the moment of handing over, ISO 8601 in UTC."""
        end = datetime.fromtimestamp(day_bounds(self.day, self.zone)[1] // 1_000_000, UTC)
        return f"{end + self.delay:%Y-%m-%dT%H:%M:%SZ}"

    def relative(self, name: str) -> str:
        """Return a file's path as seen from the landing zone."""
        return (self.folder / name).relative_to(self.landing).as_posix()


def write_manifest(delivery: Delivery, files: Sequence[File], *, declared: bool = True) -> None:
    """Write `manifest.json` in one step, after all data files; undeclared counts are null."""
    entries = [asdict(file) if declared else {"name": file.name, "rows": None} for file in files]
    manifest = {
        "site": delivery.site,
        "business_date": f"{delivery.day}",
        "delivery": delivery.name,
        "rows": sum(file.rows for file in files) if declared else None,
        "files": entries,
        "delivered_at": delivery.delivered_at,
    }
    unfinished = delivery.folder / ".manifest.json"
    unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(delivery.folder / "manifest.json")
