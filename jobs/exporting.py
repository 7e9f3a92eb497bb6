"""Export settled records to plain files: each business date is replaced whole, by its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, Protocol
from uuid import uuid4

import polars as pl
import pyarrow.fs as pafs

from isopach.feeds.columns import type_name
from isopach.feeds.feed import Feed
from isopach.jobs.settled_sums import Sum, sum_of_text, sums_together
from isopach.lake import tables
from isopach.lake.commits import Snapshot, newest, scan
from isopach.lake.inventory import digest
from isopach.lake.places import Place
from isopach.lake.windows import SETTLED, checksum_text

MANIFEST = "_manifest.json"
BESIDE = "_exporting"
"""Where files are written before they are put in place; who lists a folder of data passes it by."""
ATTEMPTS = 5
Format = Literal["parquet", "csv"]


class ExportError(RuntimeError):
    """What was asked for cannot be exported; the message says why, and what to do."""


@dataclass(frozen=True)
class Chosen:
    """The settled windows of a business date, and the version of records that they are read at.

    `windows` are rows of the ledger; `left_out` the sites that are not settled, with their state.
    """

    lake: Place
    feed: Feed
    records: Snapshot
    day: date
    windows: pl.DataFrame
    left_out: Mapping[str, str]

    @property
    def table(self) -> tables.Table:
        return tables.records(self.feed.feed, self.feed.payload)

    @property
    def sites(self) -> list[str]:
        return self.windows["site"].to_list()

    @property
    def columns(self) -> list[str]:
        """What a file has: the payload, and the site; the date stands in its folder's name."""
        return [*self.feed.payload.names, "site"]

    def recorded(self) -> dict[str, Sum]:
        """Return the rows and checksum of each site by the ledger."""
        rows = self.windows.select("site", "rows", "checksum").iter_rows()
        return {site: sum_of_text(count, text) for site, count, text in rows}


class Engine(Protocol):
    """What reads records and writes plain files."""

    def write(self, chosen: Chosen, to: Place, form: Format) -> dict[str, Sum]:
        """Write files to a folder that is not there yet; return each site's rows and checksum."""


@dataclass(frozen=True)
class Exported:
    """What was written of a business date; `left_out` are the sites that are not settled."""

    business_date: str
    version: int
    rows: int
    checksum: str
    sites: int
    files: int
    bytes: int
    left_out: dict[str, str]


def chosen_days(lake: Place, feed: Feed, days: Sequence[date] | None) -> list[Chosen]:
    """Return what is settled of business dates, all in one version; raises ExportError.

    Args:
        days: None for all dates that have a settled window.
    """
    records, windows = _at_one_moment(lake, feed, days)
    return list(_chosen(lake, feed, records, windows)) if records else []


def _at_one_moment(
    lake: Place, feed: Feed, days: Sequence[date] | None
) -> tuple[Snapshot | None, pl.DataFrame]:
    """Return records, and windows that were the same before and after records were looked at."""
    table, some = tables.records(feed.feed, feed.payload), pl.col("feed") == feed.feed
    some &= pl.lit(True) if days is None else pl.col("business_date").is_in(list(days))
    for _ in range(ATTEMPTS):
        before = scan(lake, tables.WINDOWS).filter(some).collect().sort("business_date", "site")
        records = newest(lake, table)
        after = scan(lake, tables.WINDOWS).filter(some).collect().sort("business_date", "site")
        if before.filter(state=SETTLED).equals(after.filter(state=SETTLED)):
            return records, after
    raise ExportError(f"{lake.uri}: windows of {feed.feed} are being settled; run again later")


def _chosen(lake: Place, feed: Feed, records: Snapshot, windows: pl.DataFrame) -> Iterator[Chosen]:
    for part in windows.partition_by("business_date", maintain_order=True):
        settled = part.filter(state=SETTLED)
        if not settled.is_empty():
            rest = dict(part.filter(pl.col("state") != SETTLED).select("site", "state").rows())
            yield Chosen(lake, feed, records, part["business_date"][0], settled, rest)


def export(chosen: Chosen, to: Place, form: Format, engine: Engine, name: str) -> Exported:
    """Write a date's settled records, and put them in place of what was exported of it before.

    Files are written beside, and moved when they are found to be what was settled; the manifest is
    written last, whole, and then files go that it does not name. Until then it names the old ones.

    Args:
        name: the engine's, as the manifest tells it.
    """
    day, number = f"business_date={chosen.day}", uuid4().hex[:12]
    (to / BESIDE / day).delete()  # of an export that was killed
    beside, folder = to / BESIDE / day / number, to / day
    try:
        found = engine.write(chosen, beside, form)
        _check(chosen, found)
        files = list(_placed(beside, folder, form, number))
        rows, *sums = sums_together(found.values())
        one = Exported(
            f"{chosen.day}",
            chosen.records.version,
            rows,
            checksum_text(*sums),
            len(found),
            len(files),
            sum(file["bytes"] for file in files),
            dict(chosen.left_out),
        )
        manifest = _manifest(chosen, form, name, one, files)
        (folder / MANIFEST).write_bytes(json.dumps(manifest, indent=1).encode())
    finally:
        (to / BESIDE / day).delete()
    _forget_others(folder, {MANIFEST, *(file["name"] for file in files)})
    return one


def _check(chosen: Chosen, found: Mapping[str, Sum]) -> None:
    """Check that each site's rows are those that were settled; raises ExportError."""
    for site, recorded in chosen.recorded().items():
        there = found.get(site, Sum())
        if there != recorded:
            raise ExportError(
                f"{chosen.table.name}: {site} on {chosen.day} has {there.said} at version "
                f"{chosen.records.version}, and was settled with {recorded.said}; nothing of the "
                "date was exported. If no replay is under way, `isopach verify` tells more"
            )


def _placed(beside: Place, folder: Place, form: Format, number: str) -> Iterator[dict[str, Any]]:
    """Move files from beside to where they are read; yield name, bytes and SHA-256 of each."""
    written = [entry for entry in beside.entries() if entry.base_name.endswith(f".{form}")]
    for count, entry in enumerate(written):
        name = f"part-{number}-{count:05}.{form}"
        place = folder / name
        place.make_parent()
        sha256 = digest(beside / entry.base_name)
        place.filesystem.move((beside / entry.base_name).path, place.path)
        yield {"name": name, "bytes": entry.size, "sha256": sha256}


def _manifest(
    chosen: Chosen, form: Format, engine: str, one: Exported, files: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    columns = {field.name: type_name(field.type) for field in chosen.table.schema
               if field.name in chosen.columns}  # fmt: skip
    windows = chosen.windows.select("site", "rows", "checksum", run="settled_by")
    return {
        "feed": chosen.feed.feed,
        **asdict(one),
        "table": chosen.table.name,
        "format": form,
        "engine": engine,
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "columns": columns,
        "files": list(files),
        "windows": windows.to_dicts(),
    }


def _forget_others(folder: Place, names: set[str]) -> None:
    for entry in folder.entries():
        if entry.type == pafs.FileType.File and entry.base_name not in names:
            (folder / entry.base_name).delete()
