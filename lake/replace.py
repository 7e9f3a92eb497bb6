"""Replace rows of a table in one commit, moving no more data than needed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from uuid import uuid4

import polars as pl
import pyarrow as pa

from isopach.lake.commits import Active, Change, Snapshot, commit
from isopach.lake.files import DataFile, partition_value, write_file
from isopach.lake.places import Place
from isopach.lake.tables import Table, empty_frame


def replace_rows(
    lake: Place, table: Table, out: pl.DataFrame, add: Sequence[DataFile], always: bool = False
) -> int:
    """Take rows out of a table and put files in, in one commit; return its version.

    Files that hold none of the rows stay, files that hold nothing else leave whole, and only the
    other rows of mixed files are copied. Doing it again changes nothing: files that are there
    already are neither put in again nor looked at.

    Args:
        out: the rows to take out, by any of the table's columns (compared as a key).
        always: commit also where no file changes, so that whoever decided on an older version
            must decide again.
    """

    def decide(now: Snapshot) -> Change | None:
        there = {file.path for file in now.files}
        fresh = [file for file in add if file.path not in there]
        kept: list[DataFile] = []
        removed: list[Active] = []
        for file, staying in _touched(lake, table, now, out, {file.path for file in add}):
            removed.append(file)
            if len(staying):
                whole = read_file(lake, table, file, table.schema.names)
                kept.append(write_rows(lake, table, whole[staying]))
        changed = fresh or removed or (always and not add)
        return Change([*fresh, *kept], removed) if changed else None

    return commit(lake, table, decide)


def _touched(
    lake: Place, table: Table, now: Snapshot, out: pl.DataFrame, but: Container[str] = ()
) -> Iterator[tuple[Active, pl.Series]]:
    """Yield files that hold some of the rows, each with the numbers of its other rows."""
    key = out.columns
    partitions = {c: set(map(partition_value, out[c])) for c in table.partition_by if c in key}
    for file in now.files:
        if file.path in but or any(file.partition[c] not in v for c, v in partitions.items()):
            continue
        rows = read_file(lake, table, file, key)
        staying = rows.with_row_index("_row").join(out, on=key, how="anti", nulls_equal=True)
        if staying.height < rows.height:
            yield file, staying["_row"]


def revise(
    lake: Place,
    table: Table,
    keys: pl.DataFrame,
    change: Callable[[Snapshot, pl.DataFrame], pl.DataFrame | None],
    fences: Mapping[str, int] | None = None,
) -> int:
    """Put rows in place of those with some keys, made from them, in one commit.

    Args:
        keys: of the rows to look at, the partition's columns among them.
        change: given a snapshot and its rows with these keys, returns those to stand in their
            place; None to leave the table as it is.
        fences: numbers that the commit records, where they are not higher already.
    """

    def decide(now: Snapshot) -> Change | None:
        kept, old, removed = [], [empty_frame(table.schema)], []
        for file, staying in _touched(lake, table, now, keys):
            whole = read_file(lake, table, file, table.schema.names)
            removed.append(file)
            kept.append(whole[staying])
            old.append(whole.join(keys, on=keys.columns, how="semi", nulls_equal=True))
        rows = change(now, pl.concat(old))
        if rows is None:
            return None
        together = pl.concat([*kept, rows.select(table.schema.names)])
        reached = {name: max(at, now.fence(name) or 0) for name, at in (fences or {}).items()}
        return Change(write_partitions(lake, table, together), removed, reached)

    return commit(lake, table, decide)


def upsert(lake: Place, table: Table, rows: pl.DataFrame, key: Sequence[str]) -> int:
    """Write rows in place of those with the same key, in one commit; return its version."""
    if rows.is_empty():
        return commit(lake, table, lambda _: None)
    return replace_rows(lake, table, rows.select(key).unique(), write_partitions(lake, table, rows))


def write_partitions(lake: Place, table: Table, rows: pl.DataFrame) -> list[DataFile]:
    """Write a frame as new files of a table, one for each partition."""
    parts = rows.partition_by(table.partition_by) if table.partition_by else [rows]
    return [write_rows(lake, table, part) for part in parts if not part.is_empty()]


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
