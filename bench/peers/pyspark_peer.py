"""The night by PySpark and delta-spark on `local[*]`.

The first run lets Spark's Ivy resolve delta-spark's jars from Maven into `.bench/ivy`; later runs
take them from there, so no run after the first waits for a repository.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from delta import configure_spark_with_delta_pip
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from bench.peers.task import KEY, REQUIRED, Task, parse

IVY = Path(__file__).parents[2] / ".bench" / "ivy"
CORES = os.cpu_count() or 2
SETTINGS = {
    "spark.driver.memory": "4g",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.jars.ivy": str(IVY),
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "snappy",
    "spark.sql.shuffle.partitions": str(4 * CORES),
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    "spark.sql.optimizer.windowGroupLimitThreshold": "-1",
    "spark.sql.maxConcurrentOutputFileWriters": "4",
    "spark.databricks.delta.snapshotPartitions": str(CORES),
}
TYPES = {
    "event_id": "string",
    "store": "string",
    "sold_at": "timestamp",
    "sku": "string",
    "quantity": "int",
    "unit_price": "decimal(10,2)",
    "customer": "string",
}


def consolidate(task: Task) -> None:
    """Append the night to the Delta table."""
    spark = session()
    rows = unique(of_the_day(read(spark, task), task))
    writer = add_columns(rows, task).write.format("delta").mode("append")
    writer.partitionBy("business_date").save(str(task.out.absolute()))
    spark.stop()


def read(spark: SparkSession, task: Task) -> DataFrame:
    """Read all files, each row with its file and its number in it."""
    schema = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    return (
        spark.read.schema(schema)
        .parquet(*task.files())
        .select(
            *TYPES,
            F.col("_metadata.file_path").alias("_source"),
            F.col("_metadata.row_index").alias("_position"),
        )
    )


def session() -> SparkSession:
    """Start Spark in this process with Delta's jars."""
    builder = SparkSession.builder.master("local[*]").appName("night")
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    jars = resolved_jars()
    if jars:
        return builder.config("spark.jars", ",".join(jars)).getOrCreate()
    return configure_spark_with_delta_pip(builder).getOrCreate()


def resolved_jars() -> list[str]:
    """Return the jars of the installed delta-spark, if an earlier run resolved them."""
    found = sorted((IVY / "jars").glob(f"io.delta_delta-*-{version('delta-spark')}.jar"))
    return [str(path) for path in found]


def of_the_day(rows: DataFrame, task: Task) -> DataFrame:
    """Keep complete rows of registered stores that fall on the store's own business date."""
    names = "store string, opens timestamp, closes timestamp"
    days = rows.sparkSession.createDataFrame(task.store_days(), names)
    complete = rows.dropna(subset=list(REQUIRED)).join(F.broadcast(days), "store")
    return complete.where(within(F.col("sold_at"))).drop("opens", "closes")


def within(instant: Column) -> Column:
    """Tell whether an instant lies in `[opens, closes)`."""
    return (instant >= F.col("opens")) & (instant < F.col("closes"))


def unique(rows: DataFrame) -> DataFrame:
    """Keep one row per key, by one sort after the shuffle; `dropDuplicates` sorts twice."""
    order = Window.partitionBy(*KEY).orderBy("_source", "_position")
    numbered = rows.withColumn("number", F.row_number().over(order))
    return numbered.where("number = 1").drop("number")


def add_columns(rows: DataFrame, task: Task) -> DataFrame:
    """Add revenue, site and business date."""
    revenue = F.col("quantity").cast("decimal(10,0)") * F.col("unit_price")
    return (
        rows.withColumn("revenue", revenue.cast("decimal(20,2)"))
        .withColumn("site", F.col("store"))
        .withColumn("business_date", F.lit(task.day))
    )


if __name__ == "__main__":
    consolidate(parse())
