"""Data files of sales: Parquet, CSV and JSON lines."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from isopach.feeds.deliveries import Delivery, File

ROW_GROUP = 1 << 17


def write_parquet(delivery: Delivery, tables: Iterable[pa.Table]) -> list[File]:
    """Write one snappy Parquet file per table."""
    delivery.folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, table in enumerate(tables):
        name = f"part-{number:04}.parquet"
        pq.write_table(
            table,
            delivery.folder / name,
            row_group_size=ROW_GROUP,
            compression="snappy",
            use_dictionary=["store", "sku", "quantity", "unit_price"],
            store_schema=False,
        )
        files.append(File(name, table.num_rows))
    return files


def as_text(table: pa.Table, zone: str) -> pl.DataFrame:
    """Return rows as text formats carry them: prices as text, times ISO 8601 with local offset."""
    local = pl.col("sold_at").dt.convert_time_zone(zone).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z")
    return pl.DataFrame(table).with_columns(local, pl.col("unit_price").cast(pl.String))


def json_lines(frame: pl.DataFrame) -> pl.Series:
    """Return each row as one JSON object."""
    return frame.select(pl.struct(pl.all()).struct.json_encode().alias("line"))["line"]


def write_csv(delivery: Delivery, frame: pl.DataFrame, form: str) -> list[File]:
    """Write rows as one CSV file, form `csv` or `csv.gz`; nulls are empty."""
    return [_write_text(delivery, frame.write_csv(), form, frame.height)]


def write_lines(delivery: Delivery, lines: pl.Series, form: str) -> list[File]:
    """Write lines as one file, form `jsonl` or `jsonl.zst`."""
    return [_write_text(delivery, "\n".join(lines) + "\n", form, len(lines))]


def _write_text(delivery: Delivery, text: str, form: str, rows: int) -> File:
    delivery.folder.mkdir(parents=True, exist_ok=True)
    name = f"part-0000.{form}"
    with pa.output_stream(delivery.folder / name, compression="detect") as stream:
        stream.write(text.encode())
    return File(name, rows)
