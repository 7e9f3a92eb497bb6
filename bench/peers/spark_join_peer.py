"""Two tables of records joined on Spark: how many differ, and how long it takes.

Started as `python -m bench.peers.spark_join_peer FIRST SECOND COLUMN,COLUMN`; prints one line of
JSON. It joins twice in one session, and the second counts: the first also starts Spark.
"""

from __future__ import annotations

import json
import sys
from functools import reduce
from operator import or_
from time import perf_counter

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.peers.pyspark_peer import session

KEY = ["site", "event_id"]


def differing(first: DataFrame, second: DataFrame, columns: list[str]) -> int:
    """Return how many records are on one side alone, or differ in some columns."""
    one, other = first.alias("one"), second.alias("other")
    both = one.join(other, KEY, "full_outer")
    alone = F.col("one._source").isNull() | F.col("other._source").isNull()
    changed = [~F.col(f"one.{name}").eqNullSafe(F.col(f"other.{name}")) for name in columns]
    return both.where(reduce(or_, changed, alone)).count()


def rows(spark: SparkSession, table: str, columns: list[str]) -> DataFrame:
    """Return a table's rows of nights or streams, the compared columns alone."""
    return spark.read.format("delta").load(table).select(*KEY, "_source", *columns)


def main(first: str, second: str, columns: str) -> None:
    """Join, and print rows and seconds."""
    spark, names = session(), columns.split(",")
    one, other = (rows(spark, table, names) for table in (first, second))
    differing(one, other, names)
    started = perf_counter()
    found = differing(one, other, names)
    print(json.dumps({"rows": found, "seconds": perf_counter() - started}))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
