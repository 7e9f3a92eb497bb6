"""The lake's tables: names, columns and partitioning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from isopach.lake.places import Place

TIMESTAMP = pa.timestamp("us", "UTC")

ORIGIN = {
    "_mode": pa.large_string(),
    "_source": pa.large_string(),
    "_position": pa.int64(),
    "_run": pa.large_string(),
}


@dataclass(frozen=True)
class Table:
    """A table: its folder in the lake, its columns in order, and what it is partitioned by."""

    name: str
    schema: pa.Schema
    partition_by: tuple[str, ...] = ("business_date",)

    def place(self, lake: Place) -> Place:
        return lake / self.name

    @property
    def file_schema(self) -> pa.Schema:
        """The columns that stand in its files: all but the partition's."""
        return pa.schema([field for field in self.schema if field.name not in self.partition_by])


@dataclass(frozen=True)
class FeedTables:
    """A feed's tables."""

    feed: str
    records: Table
    quarantine: Table
    totals: Mapping[str, Table]

    @property
    def all(self) -> list[Table]:
        return [self.records, self.quarantine, *self.totals.values()]


def empty_frame(schema: pa.Schema) -> pl.DataFrame:
    """Return a Polars frame with an Arrow schema's columns, and no rows."""
    frame = pl.from_arrow(schema.empty_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


def _table(name: str, columns: Mapping[str, pa.DataType], partition_by: tuple[str, ...]) -> Table:
    return Table(name, pa.schema(list(columns.items())), partition_by)


def records(feed: str, payload: pa.Schema) -> Table:
    """Return the table of a feed's accepted rows."""
    stamps = {"site": pa.large_string(), "business_date": pa.date32(), **ORIGIN}
    return Table(f"{feed}/records", pa.schema([*payload, *pa.schema(list(stamps.items()))]))


def quarantine(feed: str) -> Table:
    """Return the table of a feed's rows that were set aside."""
    text = pa.large_string()
    columns = {
        "disposition": text,
        "reason": text,
        "column": text,
        "raw": text,
        "site": text,
        "business_date": pa.date32(),
        "row_date": pa.date32(),
        "key": text,
        **ORIGIN,
        "replayed_run": text,
    }
    return _table(f"{feed}/quarantine", columns, ("business_date",))


def totals(feed: str, name: str, measures: pa.Schema) -> Table:
    """Return the table of one of a feed's totals; `measures` include window and groups."""
    stamps = pa.schema({"_mode": pa.large_string(), "_run": pa.large_string()})
    return Table(f"{feed}/totals_{name}", pa.schema([*measures, *stamps]))


RUNS = _table(
    "ledger/runs",
    {
        "run": pa.large_string(),
        "feed": pa.large_string(),
        "cadence": pa.large_string(),
        "mode": pa.large_string(),
        "engine": pa.large_string(),
        "who": pa.large_string(),
        "code_version": pa.large_string(),
        "parameters": pa.large_string(),
        "parameters_hash": pa.large_string(),
        "started": TIMESTAMP,
        "ended": TIMESTAMP,
        "outcome": pa.large_string(),
        "versions_in": pa.large_string(),
        "versions_out": pa.large_string(),
        "process": pa.large_string(),  # host/pid
        "timings": pa.large_string(),  # JSON: seconds by phase, and the slowest groups
    },
    (),
)

COUNTS = _table(
    "ledger/counts",
    {
        "run": pa.large_string(),
        "feed": pa.large_string(),
        "mode": pa.large_string(),
        "site": pa.large_string(),
        "business_date": pa.date32(),
        "read": pa.int64(),
        "accepted": pa.int64(),
        "rejected": pa.int64(),
        "late": pa.int64(),
        "duplicate": pa.int64(),
        "declared": pa.int64(),
        "bytes": pa.int64(),
        "checksum": pa.large_string(),
        "delivery": pa.large_string(),
        "reason": pa.large_string(),
        "extra": pa.large_string(),  # JSON: undeclared columns, and how many rows have a value
        "arrived": TIMESTAMP,  # when it was delivered; of a stream: when its newest rows landed
        "streamed": pa.int64(),  # rows that the stream had, where the run compared with it
        "manifest": pa.large_string(),  # SHA-256 of the delivery's manifest, as it was read
        "replay_of": pa.large_string(),  # of a replay: the night whose rows it took up again
    },
    ("business_date",),
)

WINDOWS = _table(
    "ledger/windows",
    {
        "feed": pa.large_string(),
        "site": pa.large_string(),
        "business_date": pa.date32(),
        "state": pa.large_string(),
        "reason": pa.large_string(),
        "rows": pa.int64(),
        "checksum": pa.large_string(),
        "settled_by": pa.large_string(),
        "version": pa.int64(),
        "run": pa.large_string(),
        "updated": TIMESTAMP,
        "progress": pa.large_string(),  # of provisional rows: open, complete, closed
        "kept": pa.int64(),  # records of a settled window that only the stream had
    },
    ("business_date",),
)

DIFFERENCES = _table(
    "ledger/differences",
    {
        "run": pa.large_string(),
        "feed": pa.large_string(),
        "site": pa.large_string(),
        "business_date": pa.date32(),
        "key": pa.large_string(),  # masked where a column of it is sensitive
        "kind": pa.large_string(),  # missing in the stream, extra in it, changed, repeated
        "cause": pa.large_string(),
        "evidence": pa.large_string(),  # what was looked up to say so
        "columns": pa.large_string(),  # names, with commas between
        "stream": pa.large_string(),  # JSON: the values there, sensitive ones masked
        "batch": pa.large_string(),
        "stream_source": pa.large_string(),
        "stream_position": pa.int64(),
        "batch_source": pa.large_string(),
        "batch_position": pa.int64(),
        "repaired_by": pa.large_string(),
    },
    ("business_date",),
)

GATES = _table(
    "ledger/gates",
    {
        "run": pa.large_string(),
        "feed": pa.large_string(),
        "mode": pa.large_string(),
        "suite": pa.large_string(),
        "expectation": pa.large_string(),  # type(columns), numbered where a suite has it twice
        "kwargs": pa.large_string(),  # JSON
        "severity": pa.large_string(),  # critical, warning, info
        "grain": pa.large_string(),  # window, run
        "site": pa.large_string(),  # of a window that failed; null in the line of the whole run
        "business_date": pa.date32(),
        "outcome": pa.large_string(),  # passed, failed
        "observed": pa.large_string(),  # what was found, in words
        "unexpected": pa.int64(),  # rows that do not meet it
        "evaluated": pa.int64(),  # rows with a value to look at
        "windows": pa.int64(),  # of the line of a run: windows looked at
        "failed": pa.int64(),  # of the line of a run: windows that failed
        "at": TIMESTAMP,
    },
    ("business_date",),
)

LEDGER = (WINDOWS, COUNTS, RUNS, DIFFERENCES, GATES)
