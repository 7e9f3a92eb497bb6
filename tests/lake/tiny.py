"""A small table and its rows, to be written, committed and looked at."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa

from isopach.lake.commits import Change, Snapshot, commit, newest, scan
from isopach.lake.files import DataFile, write_file
from isopach.lake.places import Place
from isopach.lake.tables import Table

DAY, NEXT = date(2026, 3, 8), date(2026, 3, 9)
TABLE = Table(
    "till/records",
    pa.schema(
        {
            "id": pa.large_string(),
            "count": pa.int64(),
            "site": pa.large_string(),
            "business_date": pa.date32(),
        }
    ),
)


def rows(
    ids: Iterable[str], site: str = "A", day: date | None = DAY, count: int | None = 1
) -> pa.Table:
    made = [{"id": id, "count": count, "site": site, "business_date": day} for id in ids]
    return pa.Table.from_pylist(made, TABLE.schema)


def write(lake: Place, name: str, data: pa.Table, table: Table = TABLE) -> DataFile:
    return write_file(lake, table, data, name)


def add(lake: Place, *files: DataFile, table: Table = TABLE) -> int:
    return commit(lake, table, lambda _: Change(files))


def stored(lake: Place, table: Table = TABLE) -> list[dict[str, Any]]:
    """Return a table's rows, in order."""
    found = scan(lake, table).collect()
    return found.sort(pl.all(), nulls_last=True).to_dicts()


def ids(lake: Place, table: Table = TABLE) -> list[str]:
    return sorted(scan(lake, table).collect()["id"].to_list())


def now(lake: Place, table: Table = TABLE) -> Snapshot:
    """Return a table's newest snapshot."""
    found = newest(lake, table)
    assert found is not None
    return found


def paths(lake: Place, table: Table = TABLE) -> set[str]:
    return {file.path for file in now(lake, table).files}


def commit_many(address: str, who: int, number: int, start: Any) -> None:
    """Commit files of one row each, from when all others are there too."""
    lake = Place.of(address)
    start.wait(60)
    for n in range(number):
        add(lake, write(lake, f"{who}-{n}", rows([f"{who}-{n}"])))
