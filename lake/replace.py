"""Replace rows of a table in one commit, moving no more data than needed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import polars as pl
import pyarrow as pa

from isopach.lake.commits import Active, Change, Snapshot, commit
from isopach.lake.files import DataFile, partition_value, write_file
from isopach.lake.places import Place
from isopach.lake.tables import Table, empty_frame


def replace_rows(lake: Place, table: Table, out: pl.DataFrame, add: Sequence[DataFile]) -> int:
    """Take rows out of a table and put files in, in one commit; return its version.

    Files that hold none of the rows stay, files that hold nothing else leave whole, and only the
    other rows of mixed files are copied. Doing it again changes nothing.

    Args:
        out: the rows to take out, by any of the table's columns (compared as a key).
    """
    key = out.columns
    touched = {
        column: set(map(partition_value, out[column]))
        for column in table.partition_by
        if column in key
    }

    def decide(now: Snapshot) -> Change | None:
        names = {file.path for file in now.files}
        added = {file.path for file in add}
        if added and added <= names:
            return None
        kept: list[DataFile] = []
        removed: list[Active] = []
        for file in now.files:
            if file.path in added or any(file.partition[c] not in v for c, v in touched.items()):
                continue
            rows = read_file(lake, table, file, key)
            staying = rows.with_row_index("_row").join(out, on=key, how="anti", nulls_equal=True)
            if staying.height == rows.height:
                continue
            removed.append(file)
            if not staying.is_empty():
                whole = read_file(lake, table, file, table.schema.names)
                kept.append(write_rows(lake, table, whole[staying["_row"]]))
        return Change([*add, *kept], removed) if add or removed else None

    return commit(lake, table, decide)


def upsert(lake: Place, table: Table, rows: pl.DataFrame, key: Sequence[str]) -> int:
    """Write rows in place of those with the same key, in one commit; return its version."""
    if rows.is_empty():
        return commit(lake, table, lambda _: None)
    parts = rows.partition_by(table.partition_by) if table.partition_by else [rows]
    return replace_rows(
        lake, table, rows.select(key).unique(), [write_rows(lake, table, part) for part in parts]
    )


def write_rows(lake: Place, table: Table, rows: pl.DataFrame) -> DataFile:
    """Write a frame with one partition's rows as a new file of a table."""
    return write_file(lake, table, to_table(rows, table.schema), f"part-{uuid4().hex}")


def to_table(rows: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return a frame in a table's columns and types; absent columns are null."""
    absent = [pl.lit(None).alias(name) for name in schema.names if name not in rows.columns]
    return rows.with_columns(absent).select(schema.names).to_arrow().cast(schema)


def read_file(
    lake: Place, table: Table, file: Active | DataFile, columns: Sequence[str]
) -> pl.DataFrame:
    """Return columns of a visible or staged file, the partition's included, null where older."""
    place = table.place(lake) / file.path
    rows = pl.scan_parquet(
        place.uri,
        schema=empty_frame(table.file_schema).schema,
        missing_columns="insert",
        glob=False,
        storage_options=place.storage_options or None,
    )
    typed = {field.name: field.type for field in table.schema}
    partition = [
        pl.lit(pl.from_arrow(pa.array([value]).cast(typed[name]))).first().alias(name)
        for name, value in file.partition.items()
    ]
    return rows.with_columns(partition).select(columns).collect()
