"""Verdicts: what an audit says of each window, as a run's staging folder keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from isopach.lake.places import Place

VERDICTS = "verdicts.json"
PUBLISHED = "published"
"""The mark on a staging folder whose verdicts are carried out."""


@dataclass(frozen=True)
class Verdict:
    """Whether a window may be published, and if not, why; with its counts as read.

    `manifest` is the SHA-256 of the delivery's manifest; `streamed` the rows that the stream had,
    where it was compared; `approved` says who published a window that was held, and why it was.
    """

    site: str
    day: date
    held: str | None
    declared: int | None = None
    delivery: str | None = None
    delivered_at: datetime | None = None
    manifest: str | None = None
    streamed: int | None = None
    approved: str | None = None


def write_verdicts(folder: Place, verdicts: Sequence[Verdict]) -> None:
    """Record an audit's outcome: from here on the run is published, also after a crash."""
    data = [
        {
            **v.__dict__,
            "day": v.day.isoformat(),
            "delivered_at": v.delivered_at and v.delivered_at.isoformat(),
        }
        for v in verdicts
    ]
    (folder / VERDICTS).write_bytes(json.dumps(data).encode())


def read_verdicts(folder: Place) -> list[Verdict]:
    """Return a run's recorded verdicts."""
    data = json.loads((folder / VERDICTS).read_bytes())
    return [Verdict(**{**item, **_times(item)}) for item in data]


def _times(item: Mapping[str, str | None]) -> dict[str, date | None]:
    """Return a recorded verdict's dates; one of an older version has no time of delivery."""
    day, at = item["day"], item.get("delivered_at")
    assert day is not None
    return {
        "day": date.fromisoformat(day),
        "delivered_at": datetime.fromisoformat(at) if at else None,
    }
