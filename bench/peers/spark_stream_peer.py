"""The stream by Spark Structured Streaming on `local[*]`, from Kafka to Delta."""

from __future__ import annotations

import signal
from threading import Event

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from bench.peers.pyspark_peer import SETTINGS, TYPES
from bench.peers.stream_task import StreamTask, parse
from bench.peers.task import REQUIRED
from bench.services import spark_jars

TRIGGER = "1 second"
OWN = {
    "spark.jars": ",".join(spark_jars()),
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.sql.streaming.metricsEnabled": "false",
}


def land(task: StreamTask, spark: SparkSession, stop: Event) -> None:
    """Append the topic to the Delta table, until stopped or until all that is there has landed."""
    query = start(read(task, spark), task)
    while query.isActive and not stop.wait(0.2):
        continue
    query.stop()
    if error := query.exception():
        raise error


def read(task: StreamTask, spark: SparkSession) -> DataFrame:
    """Read the topic from its beginning, parsed, complete rows only."""
    schema = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    lines = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", task.brokers)
        .option("subscribe", task.topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    parsed = lines.select(F.from_json(F.col("value").cast("string"), schema).alias("sale"))
    return parsed.select("sale.*").dropna(subset=list(REQUIRED))


def start(rows: DataFrame, task: StreamTask) -> StreamingQuery:
    """Start the query: every second, or once over all that is there now."""
    writer = (
        rows.writeStream.format("delta")
        .outputMode("append")
        .option("checkpointLocation", str(task.out.absolute().with_name("checkpoint")))
    )
    if task.until_idle:
        writer = writer.trigger(availableNow=True)
    else:
        writer = writer.trigger(processingTime=TRIGGER)
    return writer.start(str(task.out.absolute()))


def session() -> SparkSession:
    """Start Spark in this process with the jars for Kafka and Delta."""
    builder = SparkSession.builder.master("local[*]").appName("stream")
    for key, value in {**SETTINGS, **OWN}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def main() -> None:
    """Run until interrupted, or until all has landed where that is asked."""
    task, stop = parse(), Event()
    spark = session()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        land(task, spark, stop)
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
