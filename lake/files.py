"""Parquet files of Delta tables: written first, described, and made visible by a commit."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from isopach.lake.places import Place
from isopach.lake.tables import Table

ROW_GROUP = 1 << 17
LONGEST_TEXT = 64
"""Longer texts are left out of the statistics: a cut maximum would be wrong."""


@dataclass(frozen=True)
class DataFile:
    """A data file, by its path within its table; `windows` are the sites and dates in it."""

    path: str
    size: int
    rows: int
    partition: Mapping[str, str | None]
    stats: str
    windows: tuple[tuple[str, str], ...] = ()

    def add(self, new: bool = True) -> AddAction:
        """Return the Delta action that makes the file visible; its rows may be there already."""
        now = int(time.time() * 1000)
        return AddAction(self.path, self.size, dict(self.partition), now, new, self.stats)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> DataFile:
        windows = tuple((site, day) for site, day in data["windows"])
        return DataFile(**{**data, "windows": windows})


def write_file(
    lake: Place,
    table: Table,
    rows: pa.Table,
    name: str,
    windows: tuple[tuple[str, str], ...] = (),
    unlike: Sequence[str] = (),
) -> DataFile:
    """Write rows of one partition as a file under a table's folder, not yet visible.

    Args:
        rows: the table's columns in any order; those of the partition have one value.
        unlike: columns whose values hardly repeat, so that a dictionary of them is wasted.
    """
    partition = {
        column: partition_value(rows.column(column)[0].as_py()) for column in table.partition_by
    }
    folder = "/".join(
        f"{column}={value or '__HIVE_DEFAULT_PARTITION__'}" for column, value in partition.items()
    )
    path = f"{folder}/{name}.parquet" if folder else f"{name}.parquet"
    place = table.place(lake) / path
    place.make_parent()
    columns = [field.name for field in table.file_schema]
    with place.filesystem.open_output_stream(place.path) as sink:
        written: list[Any] = []
        pq.write_table(
            rows.select(columns),
            sink,
            row_group_size=ROW_GROUP,
            compression="snappy",
            use_dictionary=[name for name in columns if name not in unlike],
            store_schema=False,
            metadata_collector=written,
        )
        size = sink.tell()
    return DataFile(path, size, rows.num_rows, partition, statistics(written[0]), windows)


def partition_value(value: object) -> str | None:
    """Return a value as it names a folder; raises ValueError for one that cannot."""
    if value is None:
        return None
    text = str(value)
    if not re.fullmatch(r"\w[\w.-]*", text, re.ASCII):
        raise ValueError(f"{text!r} cannot be a partition; allowed: letters, digits, _ . and -")
    return text


def statistics(footer: pq.FileMetaData) -> str:
    """Return a Parquet footer's statistics as Delta's JSON."""
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for index in range(footer.num_columns):
        groups = [footer.row_group(g).column(index) for g in range(footer.num_row_groups)]
        name = footer.schema.column(index).name
        stats = [group.statistics for group in groups]
        if any(s is None or not s.has_null_count for s in stats):
            continue
        nulls[name] = sum(s.null_count for s in stats)
        bounds = [s for s in stats if s.has_min_max]
        if len(bounds) < sum(s.num_values > 0 for s in stats) or not bounds:
            continue
        low = _json_value(min(s.min for s in bounds))
        high = _json_value(max(s.max for s in bounds))
        if low is not None and high is not None:
            least[name], most[name] = low, high
    found = {
        "numRecords": footer.num_rows,
        "minValues": least,
        "maxValues": most,
        "nullCount": nulls,
    }
    return json.dumps(found, ensure_ascii=False)  # delta-rs misreads escapes as of U+20BB7


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value) if abs(value) < 2**53 and value == Decimal(repr(float(value))) else None
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else None
    return value if isinstance(value, int | float) else None
