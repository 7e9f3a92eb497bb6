"""Write plain files in this process, a row group of records at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from isopach.jobs.exporting import Format
from isopach.jobs.settled import Settled
from isopach.jobs.settled_sums import Sum, added, sums_of
from isopach.lake.commits import Active, plain
from isopach.lake.files import ROW_GROUP
from isopach.lake.inventory import files_on
from isopach.lake.places import Place
from isopach.lake.tables import empty_frame

BATCH = 1 << 16
TIMES = "%Y-%m-%dT%H:%M:%S%.6fZ"
Write = Callable[[pl.DataFrame], None]


class InProcess:
    """Writes one file, reading records file by file.

    In memory are a row group as it is stored, a batch of its rows, and a row group to be written.
    """

    def write(self, settled: Settled, to: Place, form: Format) -> dict[str, Sum]:
        found: dict[str, Sum] = {}
        place = to / f"rows.{form}"
        place.make_parent()
        open_file = _parquet if form == "parquet" else _csv
        with (
            place.filesystem.open_output_stream(place.path) as sink,
            open_file(sink, settled) as write,
        ):
            for rows in settled_rows(settled):
                found = added(found, sums_of(rows, settled.feed))
                write(rows.select(settled.columns))
        return found


def settled_rows(settled: Settled) -> Iterator[pl.DataFrame]:
    """Yield the rows of settled windows in batches; columns that a file lacks are null."""
    sites = pl.Series(settled.sites, dtype=pl.String)
    for file in files_on(settled.records, settled.day):
        for rows in _batches(settled, file):
            some = rows.filter(pl.col("site").is_in(sites.implode()))
            if not some.is_empty():
                yield some.with_columns(business_date=settled.day)


def _batches(settled: Settled, file: Active) -> Iterator[pl.DataFrame]:
    wanted = empty_frame(pa.schema([settled.table.schema.field(n) for n in settled.columns])).schema
    place = settled.table.place(settled.lake) / file.path
    with place.filesystem.open_input_file(place.path) as source:
        stored = pq.ParquetFile(source)
        names = [name for name in settled.columns if name in stored.schema_arrow.names]
        for batch in stored.iter_batches(BATCH, columns=names):
            rows = pl.from_arrow(batch)
            assert isinstance(rows, pl.DataFrame)
            absent = [pl.lit(None, wanted[n]).alias(n) for n in wanted if n not in names]
            yield rows.with_columns(absent).select(pl.col(n).cast(wanted[n]) for n in wanted)


@contextmanager
def _parquet(sink: IO[bytes], settled: Settled) -> Iterator[Write]:
    fields = [settled.table.schema.field(name) for name in settled.columns]
    schema = pa.schema([field.with_type(plain(field.type)) for field in fields])
    waiting: list[pl.DataFrame] = []
    with pq.ParquetWriter(sink, schema, store_schema=False) as writer:

        def flush() -> None:
            if waiting:
                writer.write_table(pl.concat(waiting).to_arrow().cast(schema), ROW_GROUP)
                waiting.clear()

        def write(rows: pl.DataFrame) -> None:
            waiting.append(rows)
            if sum(part.height for part in waiting) >= ROW_GROUP:
                flush()

        yield write
        flush()


@contextmanager
def _csv(sink: IO[bytes], settled: Settled) -> Iterator[Write]:
    """Write with a header, null as nothing and an empty text as ``""``; times are UTC."""
    fields = [settled.table.schema.field(name) for name in settled.columns]
    sink.write(empty_frame(pa.schema(fields)).write_csv().encode())
    yield lambda rows: rows.write_csv(sink, include_header=False, datetime_format=TIMES)
