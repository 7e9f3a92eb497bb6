"""The night by Beam with one Python dict per row, as most Beam pipelines are first written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from deltalake import write_deltalake

from bench.peers.task import REQUIRED, Task, parse

Row = dict[str, Any]

SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("store", pa.string()),
        ("sold_at", pa.timestamp("us", "UTC")),
        ("sku", pa.string()),
        ("quantity", pa.int32()),
        ("unit_price", pa.decimal128(10, 2)),
        ("customer", pa.string()),
        ("revenue", pa.decimal128(20, 2)),
        ("site", pa.string()),
        ("business_date", pa.date32()),
        ("_source", pa.string()),
        ("_position", pa.int64()),
    ]
)


def consolidate(task: Task) -> None:
    """Append the night to the Delta table."""
    zones = {store: ZoneInfo(zone) for store, zone in task.zones().items()}
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        rows = pipeline | "Files" >> beam.Create(task.files()) | "Read" >> beam.FlatMap(read_rows)
        night = (
            rows
            | "Complete" >> beam.Filter(is_complete)
            | "OfTheDay" >> beam.Filter(is_of_the_day, day=task.day, zones=zones)
            | "Columns" >> beam.Map(add_columns, day=task.day)
        )
        (
            night
            | "Key" >> beam.Map(with_key)
            | "Group" >> beam.GroupByKey()
            | "First" >> beam.Map(first_row)
            | "Batch" >> beam.BatchElements(min_batch_size=20_000, max_batch_size=100_000)
            | "Write" >> beam.Map(append, out=str(task.out))
        )


def read_rows(path: str) -> Iterator[Row]:
    """Yield a file's rows as dicts, each with its file and its number in it."""
    with pq.ParquetFile(path) as file:
        position = 0
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                yield {**row, "_source": path, "_position": position}
                position += 1


def is_complete(row: Row) -> bool:
    """Tell whether no required column is null."""
    return all(row[name] is not None for name in REQUIRED)


def is_of_the_day(row: Row, day: date, zones: dict[str, ZoneInfo]) -> bool:
    """Tell whether a row is of a registered store, on the store's own business date."""
    zone = zones.get(row["store"])
    return zone is not None and row["sold_at"].astimezone(zone).date() == day


def add_columns(row: Row, day: date) -> Row:
    """Add revenue, site and business date."""
    return {**row, "revenue": revenue(row), "site": row["store"], "business_date": day}


def revenue(row: Row) -> Decimal | None:
    """Return quantity times unit price, null if either is."""
    quantity, price = row["quantity"], row["unit_price"]
    return None if quantity is None or price is None else quantity * price


def with_key(row: Row) -> tuple[tuple[str, str], Row]:
    """Return a row with the key that it may share with its duplicates."""
    return (row["store"], row["event_id"]), row


def first_row(group: tuple[tuple[str, str], Iterable[Row]]) -> Row:
    """Return one of the rows that share a key."""
    return next(iter(group[1]))


def append(rows: list[Row], out: str) -> None:
    """Append rows to the Delta table."""
    table = pa.Table.from_pylist(rows, SCHEMA)
    write_deltalake(out, table, mode="append", partition_by=["business_date"])


if __name__ == "__main__":
    print(json.dumps({"ready_at": time.time()}), flush=True)
    consolidate(parse())
