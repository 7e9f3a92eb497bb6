"""The commit module: every change of a table goes through `commit`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from isopach.lake.files import DataFile
from isopach.lake.places import Place
from isopach.lake.tables import Table, empty_frame

WRITER = "isopach/writer"
ATTEMPTS = 30


class CommitRefusedError(ValueError):
    """A commit that would break its table: a file is missing, or does not fit the schema."""


class SchemaChangeError(ValueError):
    """A feed whose columns no longer fit the table it wrote before."""


class Active(NamedTuple):
    """A file that is visible in a snapshot of a table."""

    path: str
    size: int
    rows: int
    partition: dict[str, str | None]


@dataclass(frozen=True)
class Snapshot:
    """A table at one version."""

    delta: DeltaTable

    @property
    def version(self) -> int:
        return self.delta.version()

    @cached_property
    def files(self) -> list[Active]:
        return active_files(self.delta)

    def fence(self, name: str) -> int | None:
        """Return a number that commits recorded under a name, such as a source's position."""
        return self.delta.transaction_version(f"isopach/{name}")


class Change(NamedTuple):
    """What one commit does to a table's files; `fences` are numbers it records by name.

    Whoever follows a table need not look at a change that has the same rows as before.
    """

    add: Sequence[DataFile] = ()
    remove: Sequence[Active] = ()
    fences: Mapping[str, int] = {}
    same_rows: bool = False


Decide = Callable[[Snapshot], Change | None]


class _Table(DeltaTable):
    """A table that calls its local files what they are called: Polars does not decode their URIs.

    See https://github.com/pola-rs/polars/issues/20944.
    """

    @property
    def table_uri(self) -> str:
        return self._plain(super().table_uri)

    def file_uris(self, *args: Any, **kwargs: Any) -> list[str]:
        return [self._plain(uri) for uri in super().file_uris(*args, **kwargs)]

    def _plain(self, uri: str) -> str:
        return unquote(uri) if super().table_uri.startswith("file:") else uri


def open_table(lake: Place, table: Table) -> DeltaTable | None:
    """Return the Delta table at its newest version; None if it was never written."""
    place = table.place(lake)
    try:
        return _Table(place.uri, storage_options=place.storage_options)
    except TableNotFoundError:
        return None


def newest(lake: Place, table: Table) -> Snapshot | None:
    """Return a table's newest snapshot; None if it was never written."""
    delta = open_table(lake, table)
    return None if delta is None else Snapshot(delta)


def version(lake: Place, table: Table) -> int | None:
    """Return a table's newest version; None if it was never written."""
    delta = open_table(lake, table)
    return None if delta is None else delta.version()


def scan(lake: Place, table: Table) -> pl.LazyFrame:
    """Return a table's rows, lazily; an empty frame if it was never written.

    Columns that it does not have yet are null, as in the files written before they came.
    """
    delta, empty = open_table(lake, table), empty_frame(table.schema)
    if delta is None:
        return empty.lazy()
    stored = {field.name for field in delta.schema().fields}
    absent = {name: kind for name, kind in empty.schema.items() if name not in stored}
    rows = pl.scan_delta(delta)
    return (
        rows.with_columns(pl.lit(None, t).alias(n) for n, t in absent.items()) if absent else rows
    )


def commit(lake: Place, table: Table, decide: Decide) -> int:
    """Change a table's files in one commit, and return the version that holds the change.

    Two writers can never both succeed from one snapshot: each commit carries the next number of
    `isopach/writer`, and delta-rs refuses the second. The loser decides anew on what the winner
    left.

    Args:
        decide: given the newest snapshot, says what to add, remove and record; None to leave the
            table as it is.
    """
    checked: set[str] = set()
    for attempt in Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        wait=wait_random_exponential(multiplier=0.02, max=2),
        stop=stop_after_attempt(ATTEMPTS),
        reraise=True,
    ):
        with attempt:
            delta = create_or_open(lake, table)
            now = Snapshot(delta)
            change = decide(now)
            if change is None:
                return now.version
            fresh = [file for file in change.add if file.path not in checked]
            check_files(lake, table, fresh)
            checked |= {file.path for file in fresh}
            transactions = [
                Transaction(WRITER, (delta.transaction_version(WRITER) or 0) + 1),
                *(Transaction(f"isopach/{name}", at) for name, at in change.fences.items()),
            ]
            delta.create_write_transaction(
                _actions(change),
                mode="append",
                schema=delta.schema(),
                partition_by=list(table.partition_by),
                commit_properties=CommitProperties(
                    app_transactions=transactions, max_commit_retries=0
                ),
            )
            return now.version + 1
    raise AssertionError("unreachable")


def _actions(change: Change) -> list[AddAction | RemoveAction]:
    now, new = int(time.time() * 1000), not change.same_rows
    return [
        *(file.add(new) for file in change.add),
        *(
            RemoveAction(file.path, new, now, partition_values=file.partition, size=file.size)
            for file in change.remove
        ),
    ]


def create_or_open(lake: Place, table: Table) -> DeltaTable:
    """Return a table at its newest version, made or widened to the columns it should have."""
    delta = open_table(lake, table) or _created(lake, table)
    missing = missing_columns(delta, table)
    if not missing:
        return delta
    with suppress(CommitFailedError):  # another writer changed it meanwhile: look again
        delta.alter.add_columns(missing)
    return create_or_open(lake, table)


def check_columns(lake: Place, table: Table) -> None:
    """Check that a table, if it was written, can take its columns; raises SchemaChangeError."""
    delta = open_table(lake, table)
    if delta is not None:
        missing_columns(delta, table)


def _created(lake: Place, table: Table) -> DeltaTable:
    place = table.place(lake)
    place.make_parent()
    with suppress(CommitFailedError):  # another writer has made it
        DeltaTable.create(
            place.uri,
            table.schema,
            mode="ignore",
            partition_by=list(table.partition_by),
            storage_options=place.storage_options,
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    delta = open_table(lake, table)
    assert delta is not None
    return delta


def missing_columns(delta: DeltaTable, table: Table) -> list[Field]:
    """Return the columns a table lacks; raises SchemaChangeError where they no longer fit it."""
    stored = {field.name: field.type for field in pa.schema(delta.schema().to_arrow())}
    wanted = {field.name: field.type for field in table.schema}
    changed = {n: k for n, k in wanted.items() if n in stored and plain(stored[n]) != plain(k)}
    for name, kind in changed.items():
        raise SchemaChangeError(
            f"{table.name}: column {name!r} is stored as {plain(stored[name])} and declared as "
            f"{plain(kind)}. Columns are only added: declare it under a new name, or write to a "
            "new lake and run its nights again"
        )
    gone = [name for name in stored if name not in wanted]
    if gone:
        raise SchemaChangeError(
            f"{table.name}: column {gone[0]!r} is stored and no longer declared. Columns are only "
            "added: keep it in the feed, without `required`"
        )
    fields = Schema.from_arrow(table.schema).fields
    return [field for field in fields if field.name not in stored]


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type that the table format stores a column as."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind


def active_files(delta: DeltaTable) -> list[Active]:
    """Return the files that a table has at its version."""
    actions = pl.from_arrow(pa.table(delta.get_add_actions(flatten=False)))
    assert isinstance(actions, pl.DataFrame)
    rows = actions.select(
        "path", "size_bytes", "num_records", *(["partition"] if "partition" in actions else [])
    )
    return [
        Active(
            path, size, count, {k: _text(v) for k, v in (partition[0] if partition else {}).items()}
        )
        for path, size, count, *partition in rows.iter_rows()
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def check_files(lake: Place, table: Table, files: Sequence[DataFile]) -> None:
    """Check that files lie where they should and fit the table; raises CommitRefusedError.

    A file may be older than some of the table's columns, which are null in it.
    """
    wanted = [(field.name, plain(field.type)) for field in table.file_schema]
    for file in files:
        place = table.place(lake) / file.path
        info = place.info()
        if info.type != pafs.FileType.File or info.size != file.size:
            found = "is not there" if info.type != pafs.FileType.File else f"has {info.size} bytes"
            raise CommitRefusedError(f"{place.uri}: {found}, {file.size} bytes were staged")
        footer = pq.read_schema(place.path, filesystem=place.filesystem)
        found_columns = [(field.name, plain(field.type)) for field in footer]
        if found_columns != [column for column in wanted if column in found_columns]:
            odd = sorted(set(map(str, found_columns)) ^ set(map(str, wanted))) or ["their order"]
            raise CommitRefusedError(f"{place.uri}: does not fit {table.name}: {', '.join(odd)}")
