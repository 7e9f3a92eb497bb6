"""Landings: what each commit of a stream brought, for the tables that follow the records.

The commit of the records is the decision, and carries the landing's number and token. What it
decided was described in a file before; the other tables follow from that, each with the number
it has reached, so that a crash between two tables is made good by whoever comes next.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date

from isopach.lake.commits import Snapshot
from isopach.lake.files import DataFile
from isopach.lake.places import Place

NUMBER, TOKEN, WATERMARK = "landing", "landing/token", "watermark"
Window = tuple[str | None, date | None]


class LandingLostError(Exception):
    """The description of a landing that some table still has to follow is gone."""


@dataclass(frozen=True)
class Reached:
    """How far a source has landed: the next position, rows read, and its watermark (UTC µs)."""

    fence: int = 0
    rows: int = 0
    watermark: int | None = None


@dataclass(frozen=True)
class Landing:
    """One commit of a stream.

    `sources` are all that were ever read, as they stand after it; `previous` is the token of the
    landing before. Counts are per window, which is not known of every row.
    """

    number: int
    run: str
    previous: int = 0
    sources: Mapping[str, Reached] = field(default_factory=dict)
    watermark: int | None = None
    files: Mapping[str, list[DataFile]] = field(default_factory=dict)
    counts: Mapping[Window, dict[str, int]] = field(default_factory=dict)
    token: int = field(default_factory=lambda: secrets.randbits(62))

    def fences(self, before: Mapping[str, Reached]) -> dict[str, int]:
        """Return what its commit records: of sources, what has changed."""
        found = {NUMBER: self.number, TOKEN: self.token}
        if self.watermark is not None:
            found[WATERMARK] = max(self.watermark, 0)
        for source, now in self.sources.items():
            if now == before.get(source):
                continue
            found |= {source: now.fence, f"{source}/rows": now.rows}
            if now.watermark is not None:
                found[f"{source}/watermark"] = max(now.watermark, 0)
        return found


def place_of(lake: Place, feed: str, number: int, token: int) -> Place:
    """Return where a landing is described."""
    return lake / f"{feed}/_staging/landings/{number:012}-{token:x}.json"


def write_landing(lake: Place, feed: str, landing: Landing) -> None:
    """Describe a landing, before it is committed."""
    data = {
        **asdict(landing),
        "files": {table: [f.as_json() for f in files] for table, files in landing.files.items()},
        "counts": [
            [site, day.isoformat() if day else None, tally]
            for (site, day), tally in landing.counts.items()
        ],
    }
    place_of(lake, feed, landing.number, landing.token).write_bytes(json.dumps(data).encode())


def read_landing(lake: Place, feed: str, number: int, token: int) -> Landing:
    """Return a landing as it was described; raises LandingLostError."""
    place = place_of(lake, feed, number, token)
    try:
        data = json.loads(place.read_bytes())
    except FileNotFoundError as error:
        raise LandingLostError(
            f"{place.uri}: is gone, and not every table has what it describes; restore it"
        ) from error
    return Landing(
        **{
            **data,
            "sources": {name: Reached(**reached) for name, reached in data["sources"].items()},
            "files": {t: [DataFile.from_json(f) for f in fs] for t, fs in data["files"].items()},
            "counts": {
                (site, date.fromisoformat(day) if day else None): tally
                for site, day, tally in data["counts"]
            },
        }
    )


def newest_landing(lake: Place, feed: str, now: Snapshot) -> Landing:
    """Return the newest landing in a version of the records; raises LandingLostError."""
    number, token = now.fence(NUMBER) or 0, now.fence(TOKEN) or 0
    return read_landing(lake, feed, number, token) if number else Landing(0, "", token=0)


def landed(now: Snapshot | None, sources: Iterable[str]) -> dict[str, Reached]:
    """Return how far sources have landed in a version of the records; those never read are out."""
    found = {}
    for source in sources if now else ():
        fence = now.fence(source) if now else None
        if now and fence is not None:
            rows, watermark = now.fence(f"{source}/rows"), now.fence(f"{source}/watermark")
            found[source] = Reached(fence, rows or 0, watermark)
    return found


def landings_after(lake: Place, feed: str, records: Snapshot, number: int) -> Iterator[Landing]:
    """Yield the landings that the records have, newest first, down to one after a number."""
    last, token = records.fence(NUMBER) or 0, records.fence(TOKEN) or 0
    while last > number:
        landing = read_landing(lake, feed, last, token)
        yield landing
        last, token = last - 1, landing.previous


def forget_landings(lake: Place, feed: str, number: int) -> None:
    """Delete the descriptions of landings before one, which every table has followed."""
    folder = lake / f"{feed}/_staging/landings"
    for entry in folder.entries() if folder.exists() else ():
        if int(entry.base_name.partition("-")[0]) < number:
            (folder / entry.base_name).delete()
