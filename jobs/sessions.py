"""Sessions of Spark, for jobs that read and write Delta tables there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from isopach.lake.places import Place

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class SparkMissingError(RuntimeError):
    """Spark is asked for, and is not installed or does not start."""


@contextmanager
def started(name: str) -> Iterator[SparkSession]:
    """Start Spark in this process, or join the session there is; raises SparkMissingError.

    Args:
        name: what Spark's own pages call it.
    """
    try:
        from isopach.jobs.spark.maintain import session
    except ImportError:
        raise SparkMissingError(
            "--engine spark needs Spark: pip install 'isopach[spark]'"
        ) from None
    from pyspark.errors import PySparkRuntimeError

    try:
        spark = session([("spark.app.name", name)])
    except PySparkRuntimeError as error:
        raise SparkMissingError(f"Spark does not start; it needs Java 17: {error}") from None
    try:
        yield spark
    finally:
        spark.stop()


def hadoop_address(place: Place) -> str:
    """Return a place as Hadoop's file systems call it."""
    return place.uri.replace("s3://", "s3a://", 1) if place.uri.startswith("s3://") else place.uri
