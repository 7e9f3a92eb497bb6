"""Inventory: the files of a table as they lie on storage, beside what its log says of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import PurePosixPath

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from isopach.lake.commits import Active, Snapshot
from isopach.lake.places import Place
from isopach.lake.replace import read_file
from isopach.lake.tables import Table

READERS = 4
"""Files read at once."""
GONE = "is not there"
READ_ERRORS = (OSError, pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What reading a damaged file raises, by library and by what is damaged."""


def files_on(now: Snapshot, day: date | None) -> list[Active]:
    """Return a snapshot's files with rows of a business date (or of any), by path."""
    chosen = [
        file
        for file in now.files
        if day is None or file.partition.get("business_date", day.isoformat()) == day.isoformat()
    ]
    return sorted(chosen, key=lambda file: file.path)


def sizes(lake: Place, table: Table, paths: Sequence[str]) -> dict[str, int]:
    """Return the bytes of those of a table's files that are there; each folder is listed once."""
    found: dict[str, int] = {}
    for folder in sorted({str(PurePosixPath(path).parent) for path in paths}):
        place = table.place(lake) if folder == "." else table.place(lake) / folder
        prefix = "" if folder == "." else f"{folder}/"
        try:
            entries = place.entries()
        except FileNotFoundError:
            continue
        found |= {f"{prefix}{entry.base_name}": entry.size for entry in entries if entry.is_file}
    return {path: found[path] for path in paths if path in found}


def digests(lake: Place, table: Table, paths: Sequence[str]) -> list[str]:
    """Return the SHA-256 of files' bytes."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda path: digest(table.place(lake) / path), paths))


def digest(place: Place) -> str:
    """Return the SHA-256 of a file's bytes; raises FileNotFoundError."""
    with place.filesystem.open_input_file(place.path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def misfits(lake: Place, table: Table, now: Snapshot, day: date | None) -> Iterator[str]:
    """Yield what is wrong with a snapshot's files by their names and sizes alone."""
    files = files_on(now, day)
    there = sizes(lake, table, [file.path for file in files])
    for file in files:
        said = misfit(file.size, there.get(file.path))
        if said:
            yield f"{table.name}/{file.path}: {said}"


def misfit(size: int, found: int | None) -> str | None:
    """Return what is wrong with a file's size, if anything is."""
    if found is None:
        return GONE
    return None if found == size else f"has {found:,} bytes, {size:,} were committed"


def unreadable(lake: Place, table: Table, now: Snapshot, day: date | None) -> Iterator[str]:
    """Yield the files of a snapshot that cannot be read, and why; all of them are read."""
    for file in files_on(now, day):
        place = table.place(lake) / file.path
        try:
            with place.filesystem.open_input_file(place.path) as source:
                pq.ParquetFile(source).read()  # before Polars, which may panic
            read_file(lake, table, file, table.schema.names)
        except READ_ERRORS as error:
            yield f"{table.name}/{file.path}: cannot be read: {error}"
