"""Maintain tables on Spark: what may go is decided here, and by Delta once more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow.fs as pafs

from isopach.jobs.maintaining import FEWEST, Told
from isopach.jobs.sessions import hadoop_address, started
from isopach.lake.commits import newest
from isopach.lake.compact import small_groups
from isopach.lake.places import Place
from isopach.lake.tables import Table
from isopach.lake.vacuum import Stored, delete

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class OnSpark:
    """Maintains tables through a session of Spark."""

    spark: SparkSession

    def join(self, lake: Place, table: Table, near: Sequence[str], told: Told) -> None:
        """Join the small files of the partitions that have several."""
        from isopach.jobs.spark.maintain import optimize

        now = newest(lake, table)
        groups = list(small_groups(now.files, FEWEST)) if now else []
        if groups:
            days = sorted({*(group[0].partition.get("business_date") or "" for group in groups)})
            told(f"{len(groups):,} partitions")
            optimize(self.spark, hadoop_address(table.place(lake)), near, _where(table, days))

    def delete(
        self, lake: Place, table: Table, files: Sequence[Stored], retention: timedelta, told: Told
    ) -> list[Stored]:
        from isopach.jobs.spark.maintain import Candidate, vacuum

        if not files:
            return []
        told(f"{len(files):,} files")
        named = [Candidate(f.path, f.size, int(f.changed.timestamp() * 1000)) for f in files]
        hours = retention.total_seconds() / 3600
        vacuum(self.spark, hadoop_address(table.place(lake)), named, hours)
        rest = [file for file in files if not _is_data(file.path)]  # to Delta these are hidden
        delete(lake, table, rest, lambda _: None)
        return [file for file in files if _is_gone(table.place(lake) / file.path)]


@contextmanager
def on_spark() -> Iterator[OnSpark]:
    """Start Spark in this process, or join the session there is; raises SparkMissingError."""
    with started("isopach maintain") as spark:
        yield OnSpark(spark)


def _where(table: Table, days: Sequence[str]) -> str | None:
    """Return the condition that chooses business dates; the empty one is null."""
    if not table.partition_by:
        return None
    known = ", ".join(f"'{day}'" for day in days if day)
    parts = [f"business_date IN ({known})"] if known else []
    return " OR ".join([*parts, *(["business_date IS NULL"] if "" in days else [])])


def _is_gone(place: Place) -> bool:
    return bool(place.info().type == pafs.FileType.NotFound)


def _is_data(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(".parquet") and not name.startswith(".")
