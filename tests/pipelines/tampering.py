"""Tamper with a lake: rows deleted, changed and added, files overwritten, cut off and deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from small_night import SmallNight

from isopach.jobs.nightly import feed_tables
from isopach.pipelines.verify import verify


@dataclass(frozen=True)
class Lake:
    """A lake that is to be tampered with."""

    night: SmallNight

    def delta(self, table: str) -> DeltaTable:
        return DeltaTable(f"{self.night.lake.path}/{table}")

    def rows(self, table: str, where: pl.Expr) -> pl.DataFrame:
        return pl.scan_delta(self.delta(table)).filter(where).collect()

    def delete(self, table: str, where: str) -> None:
        assert self.delta(table).delete(where)["num_deleted_rows"]

    def update(self, table: str, where: str, **values: Any) -> None:
        changed = self.delta(table).update(predicate=where, new_values=values)
        assert changed["num_updated_rows"]

    def add(self, table: str, like: pl.Expr, **values: Any) -> None:
        """Add a row like the first that is found."""
        found = self.rows(table, like).head(1)
        for name, value in values.items():
            found = found.with_columns(pl.lit(value, found.schema[name]).alias(name))
        assert found.height == 1
        write_deltalake(self.delta(table), found, mode="append")

    def checks(self, day: date | None = None) -> set[str]:
        """Return the checks that do not hold, all of them in the window that was tampered with."""
        to = feed_tables(self.night.declaration)
        findings = verify(self.night.lake, self.night.declaration.feed, to, day).findings
        return {finding.check for finding in findings}

    def windows(self) -> set[tuple[str, date]]:
        return {(found.site, found.business_date) for found in self.night.findings()}

    def files(self, table: str, day: date | None) -> list[Path]:
        """Return a table's files of a business date (or of any), the largest first."""
        on_day = [("business_date", "=", f"{day}")] if day else None
        active = self.delta(table).file_uris(file_pruning_predicate=on_day)
        paths = [Path(uri.removeprefix("file://")) for uri in active]
        return sorted(paths, key=lambda path: path.stat().st_size, reverse=True)

    def overwrite(self, file: Path, changed: pl.Expr) -> None:
        """Write a data file again with a column changed, behind the table's back."""
        stored = pq.ParquetFile(file).read()
        rows = pl.from_arrow(stored)
        assert isinstance(rows, pl.DataFrame)
        pq.write_table(
            rows.with_columns(changed).to_arrow().cast(stored.schema), file, store_schema=False
        )
