"""Maintain a Delta table on Spark: OPTIMIZE or Z-ORDER, and VACUUM of files named for it.

By itself:

    spark-submit --packages io.delta:delta-spark_2.12:3.3.3 jobs/spark/maintain.py \
        --table s3a://bucket/lake/sales/records --z-order site,event_id

`isopach maintain --engine spark` runs the same in a local session. Without `--files` nothing is
vacuumed: Delta would take files that a night has staged, and not yet published, for abandoned.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from delta import DeltaTable, configure_spark_with_delta_pip
from delta.exceptions import DeltaConcurrentModificationException
from pyspark.sql import DataFrame, SparkSession

ATTEMPTS = 5
"""Others commit meanwhile: what they took away is left alone the next time."""
SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "snappy",
    "spark.databricks.delta.optimize.minFileSize": str(128 << 20),
    "spark.databricks.delta.optimize.maxFileSize": str(256 << 20),
    # Statistics are of the first 32 columns; a feed may have more before its site.
    "spark.databricks.delta.optimize.zorder.checkStatsCollection.enabled": "false",
    # Delta's is a week; whoever asks for less has named the files.
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
}
LOCAL = {
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": str(os.cpu_count() or 2),
    "spark.databricks.delta.snapshotPartitions": str(os.cpu_count() or 2),
}
INVENTORY = "path string, length long, isDir boolean, modificationTime long"


class Candidate(NamedTuple):
    """A file that may go, by its path within the table; changed last at (milliseconds)."""

    path: str
    size: int
    changed: int


def session(more: Iterable[tuple[str, str]] = ()) -> SparkSession:
    """Return the session of spark-submit; without one, a local session with Delta's jars."""
    builder = SparkSession.builder.appName("isopach maintain")
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    for name, value in (*SETTINGS.items(), *(() if submitted else LOCAL.items()), *more):
        builder = builder.config(name, value)
    if not submitted:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = configure_spark_with_delta_pip(builder.master("local[*]"))
    with _printing_to_stderr():
        spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


@contextmanager
def _printing_to_stderr() -> Iterator[None]:
    """Have a process that is started here print to stderr: Delta prints what it deletes."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def optimize(
    spark: SparkSession, table: str, near: Sequence[str] = (), where: str | None = None
) -> None:
    """Join small files; rows that agree in some columns are laid close together.

    Args:
        where: a condition on the partition, outside of which all stays.
    """
    for attempt in range(1, ATTEMPTS + 1):
        chosen = DeltaTable.forPath(spark, table).optimize()
        chosen = chosen.where(where) if where else chosen
        try:
            if near:
                chosen.executeZOrderBy(*near)
            else:
                chosen.executeCompaction()
        except DeltaConcurrentModificationException:
            if attempt == ATTEMPTS:
                raise
        else:
            return


def vacuum(spark: SparkSession, table: str, files: Sequence[Candidate], hours: float) -> None:
    """Delete those of some files that Delta, too, finds in no version of so many hours."""
    root = _qualified(spark, table)
    rows = [(f"{root}/{file.path}", file.size, False, file.changed) for file in files]
    inventory: DataFrame = spark.createDataFrame(rows, INVENTORY)
    inventory.createOrReplaceTempView("inventory")
    spark.sql(
        f"VACUUM delta.`{table}` USING INVENTORY (SELECT * FROM inventory) RETAIN {hours} HOURS"
    )


def _qualified(spark: SparkSession, table: str) -> str:
    """Return a table's folder as Hadoop writes it."""
    context: Any = spark.sparkContext
    path = context._jvm.org.apache.hadoop.fs.Path(table)
    system = path.getFileSystem(context._jsc.hadoopConfiguration())
    return str(system.makeQualified(path).toString())


def candidates(file: Path) -> list[Candidate]:
    """Return the files that a list names: path, bytes and milliseconds, with tabs between."""
    parts = (line.split("\t") for line in file.read_text().splitlines())
    return [Candidate(path, int(size), int(changed)) for path, size, changed in parts]


def main(argv: Sequence[str] | None = None) -> None:
    """Maintain one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--table", required=True, help="folder or address of the Delta table")
    parser.add_argument("--z-order", default="", help="columns, with commas between")
    parser.add_argument("--where", help="a condition on the partition")
    parser.add_argument("--files", type=Path, help="a list of files that may be vacuumed")
    parser.add_argument("--retention-hours", type=float, default=168)
    options = parser.parse_args(argv)
    spark = session()
    near = [name for name in options.z_order.split(",") if name]
    optimize(spark, options.table, near, options.where)
    if options.files is not None:
        vacuum(spark, options.table, candidates(options.files), options.retention_hours)
    spark.stop()


if __name__ == "__main__":
    main()
