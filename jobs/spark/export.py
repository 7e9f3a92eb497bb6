"""Export settled records on Spark.

By itself, where the drivers' and workers' Python has Isopach:

    spark-submit --packages io.delta:delta-spark_2.12:3.3.3 jobs/spark/export.py \
        sales --lake s3://bucket/lake --to s3://bucket/plain --date 2026-03-08 --format csv

takes what `isopach export` takes, which does the same in a local session with `--engine spark`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type

from isopach.feeds.feed import Feed
from isopach.jobs.exporting import Format
from isopach.jobs.sessions import hadoop_address
from isopach.jobs.settled import NotAsSettledError, Settled
from isopach.jobs.settled_sums import Sum, added, sum_of_text, sums_of, sums_together
from isopach.lake.commits import plain
from isopach.lake.places import Place
from isopach.lake.windows import checksum_text

CSV = {
    "header": "true",
    "escape": '"',  # quotes within quotes are doubled, not preceded by a backslash
    "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'",
    "dateFormat": "yyyy-MM-dd",
}
SUMS = "site string, rows long, checksum string"


@dataclass(frozen=True)
class OnSpark:
    """Writes as many files as Spark reads parts of the table."""

    spark: SparkSession

    def write(self, settled: Settled, to: Place, form: Format) -> dict[str, Sum]:
        rows = settled_rows(self.spark, settled)
        sums = rows.mapInArrow(partial(_sums, feed=settled.feed, day=settled.day), SUMS).collect()
        found: dict[str, Sum] = {}
        for site, count, text in sums:
            found = added(found, {site: sum_of_text(count, text)})
        written = Observation()
        writer = rows.observe(written, F.count(F.lit(1)).alias("rows")).write
        if form == "csv":
            writer.options(**CSV).csv(hadoop_address(to))
        else:
            writer.parquet(hadoop_address(to))
        expected, wrote = sums_together(found.values()).rows, written.get["rows"]
        if wrote != expected:
            raise NotAsSettledError(f"{to.uri}: Spark has written {wrote:,} rows of {expected:,}")
        return found


def settled_rows(spark: SparkSession, settled: Settled) -> DataFrame:
    """Return the rows of settled windows; columns that the table lacks are null."""
    version = settled.records.version
    address = hadoop_address(settled.table.place(settled.lake))
    table = spark.read.format("delta").option("versionAsOf", version).load(address)
    some = table.where(F.col("business_date") == F.lit(settled.day))
    some = some.where(F.col("site").isin(settled.sites))
    return some.select([_column(table, settled, name) for name in settled.columns])


def _column(table: DataFrame, settled: Settled, name: str) -> Any:
    kind = from_arrow_type(plain(settled.table.schema.field(name).type))
    return F.col(name) if name in table.columns else F.lit(None).cast(kind).alias(name)


def _sums(batches: Iterator[pa.RecordBatch], feed: Feed, day: date) -> Iterator[pa.RecordBatch]:
    """Yield the sums of a part of the rows, by site; batches are looked at one at a time."""
    found: dict[str, Sum] = {}
    for batch in batches:
        rows = pl.from_arrow(batch)
        assert isinstance(rows, pl.DataFrame)
        found = added(found, sums_of(rows.with_columns(business_date=day), feed))
    texts = [checksum_text(one.first, one.second) for one in found.values()]
    yield pa.RecordBatch.from_pydict(
        {"site": list(found), "rows": [one.rows for one in found.values()], "checksum": texts},
        pa.schema({"site": pa.string(), "rows": pa.int64(), "checksum": pa.string()}),
    )


if __name__ == "__main__":
    from isopach.jobs.cli import main

    sys.argv[1:] = ["export", *sys.argv[1:], "--engine", "spark"]
    main()
