"""Verify files: what a table's log names lies on storage, as large as it was, and can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from isopach.lake.commits import newest
from isopach.lake.inventory import misfits, unreadable
from isopach.lake.places import Place
from isopach.lake.tables import Table
from isopach.pipelines.findings import Finding

FILES = "files"


def verify_files(lake: Place, tables: Iterable[Table], day: date | None) -> Iterator[Finding]:
    """Name files that are gone or have another size; nothing is read of them."""
    for table in tables:
        now = newest(lake, table)
        for said in misfits(lake, table, now, day) if now else ():
            yield Finding(FILES, None, day, said)


def unreadable_files(lake: Place, tables: Iterable[Table], day: date | None) -> Iterator[Finding]:
    """Name files that cannot be read; all of them are."""
    for table in tables:
        now = newest(lake, table)
        for said in unreadable(lake, table, now, day) if now else ():
            yield Finding(FILES, None, day, said)
