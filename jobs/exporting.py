"""Export settled records to plain files: each business date is replaced whole, by its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol
from uuid import uuid4

import pyarrow.fs as pafs

from isopach.feeds.columns import type_name
from isopach.jobs.settled import NotAsSettledError, Settled
from isopach.jobs.settled_sums import Sum, sums_together
from isopach.lake.inventory import digest
from isopach.lake.places import Place
from isopach.lake.windows import checksum_text

MANIFEST = "_manifest.json"
BESIDE = "_exporting"
"""Where files are written before they are put in place; who lists a folder of data passes it by."""
Format = Literal["parquet", "csv"]


class Engine(Protocol):
    """What reads records and writes plain files."""

    def write(self, settled: Settled, to: Place, form: Format) -> dict[str, Sum]:
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


def export(settled: Settled, to: Place, form: Format, engine: Engine, name: str) -> Exported:
    """Write a date's settled records, and put them in place of what was exported of it before.

    Files are written beside, and moved when they are found to be what was settled; the manifest is
    written last, whole, and then files go that it does not name. Until then it names the old ones.

    Args:
        name: the engine's, as the manifest tells it.
    """
    day, number = f"business_date={settled.day}", uuid4().hex[:12]
    (to / BESIDE / day).delete()  # of an export that was killed
    beside, folder = to / BESIDE / day / number, to / day
    try:
        found = engine.write(settled, beside, form)
        _check(settled, found)
        files = list(_placed(beside, folder, form, number))
        rows, *sums = sums_together(found.values())
        one = Exported(
            f"{settled.day}",
            settled.records.version,
            rows,
            checksum_text(*sums),
            len(found),
            len(files),
            sum(file["bytes"] for file in files),
            dict(settled.left_out),
        )
        manifest = _manifest(settled, form, name, one, files)
        (folder / MANIFEST).write_bytes(json.dumps(manifest, indent=1).encode())
    finally:
        (to / BESIDE / day).delete()
    _forget_others(folder, {MANIFEST, *(file["name"] for file in files)})
    return one


def _check(settled: Settled, found: Mapping[str, Sum]) -> None:
    """Check that each site's rows are those that were settled; raises NotAsSettledError."""
    for site, recorded in settled.recorded().items():
        there = found.get(site, Sum())
        if there != recorded:
            raise NotAsSettledError(
                f"{settled.table.name}: {site} on {settled.day} has {there.said} at version "
                f"{settled.records.version}, and was settled with {recorded.said}; nothing of the "
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
    settled: Settled, form: Format, engine: str, one: Exported, files: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    columns = {field.name: type_name(field.type) for field in settled.table.schema
               if field.name in settled.columns}  # fmt: skip
    windows = settled.windows.select("site", "rows", "checksum", run="settled_by")
    return {
        "feed": settled.feed.feed,
        **asdict(one),
        "table": settled.table.name,
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
