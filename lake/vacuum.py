"""Vacuum: delete files of a table that no version within the retention has, and nobody needs.

delta-rs's own vacuum knows nothing of files that are staged and not yet visible: asked for files
that are in no version it names those as well, and asked for those that were removed it names files
that a landing still describes. So the files are listed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pyarrow.fs as pafs

from isopach.lake.commits import newest
from isopach.lake.delta_log import read_log
from isopach.lake.in_flight import in_flight
from isopach.lake.places import Place
from isopach.lake.tables import Table

GRACE = timedelta(hours=1)
"""However short the retention: what is younger may be a file that is about to be committed."""
DELETERS = 8
_DATA = re.compile(r"\.?(.+\.parquet)(?:\.crc|#\d+|\.\d+\.tmp)?")
"""Data files, and what killed writers and Spark leave beside them; nothing else is touched."""


class Stored(NamedTuple):
    """A file below a table's folder, by its path within it."""

    path: str
    size: int
    changed: datetime


def deletable(
    lake: Place, table: Table, feed: str, retention: timedelta, now: datetime
) -> list[Stored]:
    """Return the files of a feed's table, or of the ledger, that may go.

    Args:
        now: the moment (UTC) that the retention ends at.
    """
    before = now - max(retention, GRACE)
    needed = in_flight(lake, feed)  # first, as it says
    snapshot = newest(lake, table)
    if snapshot is None:
        return []
    kept = {file.path for file in snapshot.files} | read_log(lake, table).removed_since(before)
    return [
        file
        for file in stored_files(lake, table)
        if file.changed < before
        and (data := _data_file(file.path)) not in kept
        and not needed.holds(table, data)
    ]


def delete(
    lake: Place, table: Table, files: Sequence[Stored], told: Callable[[int], None]
) -> list[Stored]:
    """Delete files, and return those deleted; `told` is called with how many are gone so far."""
    place, gone = table.place(lake), []
    with ThreadPoolExecutor(DELETERS) as pool:
        done = pool.map(lambda file: _deleted(place / file.path), files)
        for number, (file, deleted) in enumerate(zip(files, done, strict=True), 1):
            gone += [file] if deleted else []
            told(number)
    return gone


def _deleted(place: Place) -> bool:
    try:
        place.delete()
    except FileNotFoundError:
        return False  # another was first
    return True


def stored_files(lake: Place, table: Table) -> Iterator[Stored]:
    """Yield the data files below a table's folder, visible or not, and what is left of such."""
    place = table.place(lake)
    found = place.filesystem.get_file_info(pafs.FileSelector(place.path, recursive=True))
    for entry in found:
        path = entry.path[len(place.path) :].lstrip("/")
        if entry.is_file and not path.startswith("_") and _DATA.fullmatch(entry.base_name):
            yield Stored(path, entry.size, entry.mtime.astimezone(UTC))


def _data_file(path: str) -> str:
    """Return the data file that a file belongs to: itself, or the one that it lies beside."""
    folder, slash, name = path.rpartition("/")
    match = _DATA.fullmatch(name)
    assert match is not None, "others are not listed"
    return f"{folder}{slash}{match[1]}"
