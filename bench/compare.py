"""Whether two Delta tables hold the same rows, in whatever order and files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import duckdb
import polars as pl
from deltalake import DeltaTable

# What is compared, in types that do not depend on the writer's choice of unit or precision.
COLUMNS = {
    "event_id": "event_id::VARCHAR",
    "store": "store::VARCHAR",
    "sold_at": "epoch_us(sold_at)",
    "sku": "sku::VARCHAR",
    "quantity": "quantity::INTEGER",
    "unit_price": "unit_price::DECIMAL(38, 6)",
    "customer": "customer::VARCHAR",
    "revenue": "revenue::DECIMAL(38, 6)",
    "business_date": "business_date",
}


@dataclass(frozen=True)
class Fingerprint:
    """A count of rows and two sums of row hashes: the same for the same multiset of rows.

    Different multisets share one with a probability of about 2^-128.
    """

    rows: int
    forwards: int
    backwards: int


@dataclass(frozen=True)
class Difference:
    """Rows of the reference that are missing, rows it does not have, and an example of either."""

    missing: int
    extra: int
    example: str

    def __str__(self) -> str:
        return f"{self.missing:,} rows missing, {self.extra:,} extra, such as {self.example}"


def fingerprint(table: Path) -> Fingerprint:
    """Return the fingerprint of a Delta table's current rows."""
    return fingerprint_of(rows_of(table), COLUMNS)


def fingerprint_of(query: str, columns: Iterable[str]) -> Fingerprint:
    """Return the fingerprint of a query's rows."""
    listed = list(columns)
    names, reverse = ", ".join(listed), ", ".join(reversed(listed))
    hashes = f"coalesce(sum(hash({names})), 0), coalesce(sum(hash({reverse})), 0)"
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT count(*), {hashes} FROM ({query})").fetchone()
    assert found is not None
    return Fingerprint(*(int(number) for number in found))


def difference(reference: Path, table: Path) -> Difference:
    """Count the rows in which a Delta table differs from a reference, repeated ones each time."""
    return query_difference(rows_of(reference), rows_of(table))


def query_difference(reference: str, other: str) -> Difference:
    """Count the rows in which a query's result differs from another's."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE reference AS {reference}")
        connection.execute(f"CREATE TABLE other AS {other}")
        for name, left, right in (
            ("missing", "reference", "other"),
            ("extra", "other", "reference"),
        ):
            connection.execute(
                f"CREATE TABLE {name} AS SELECT * FROM {left} EXCEPT ALL SELECT * FROM {right}"
            )
        found = connection.execute(
            "SELECT (SELECT count(*) FROM missing), (SELECT count(*) FROM extra), "
            "(SELECT r::VARCHAR FROM (FROM missing UNION ALL FROM extra) r LIMIT 1)"
        ).fetchone()
    assert found is not None
    return Difference(*found)


def rows_of(table: Path) -> str:
    """Return the query for the compared columns of a Delta table's active files."""
    parts = [select(day, files) for day, files in active_files(table)]
    if not parts:
        raise ValueError(f"the Delta table at {table} has no files")
    return " UNION ALL ".join(parts)


def select(day: str, files: list[str]) -> str:
    """Return the query for the compared columns of one business date's files."""
    columns = {**COLUMNS, "business_date": f"{literal(day)}::DATE"}
    names = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    paths = ", ".join(map(literal, files))
    return f"SELECT {names} FROM read_parquet([{paths}], hive_partitioning = false)"


def active_files(table: Path) -> list[tuple[str, list[str]]]:
    """Return the paths of a Delta table's active files by the business date of their rows."""
    actions = pl.DataFrame(DeltaTable(table).get_add_actions(flatten=True))
    paths = [str(table.absolute() / unquote(path)) for path in actions["path"]]
    days = actions["partition.business_date"].cast(pl.String)
    grouped = pl.DataFrame({"day": days, "path": paths}).group_by("day").agg("path")
    return [(day, files) for day, files in grouped.iter_rows()]


def literal(value: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"
