"""When rows became visible: what each version of a Delta table added, by its log alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pyarrow.parquet as pq

SECOND = 1_000_000_000
PLACES = pl.Schema({"event_id": pl.String(), "sold_at": pl.Datetime("us", "UTC")})


@dataclass(frozen=True)
class Version:
    """A version that added rows: when its log file was written (ns since 1970), and its files."""

    number: int
    at: int
    files: tuple[Path, ...]
    rows: int


@dataclass
class Visible:
    """Follows a Delta table on this machine; the table need not be there yet."""

    table: Path
    versions: list[Version] = field(default_factory=list)
    _next: int = 0

    def look(self) -> int:
        """Read the log as far as it goes, and return how many rows have been added."""
        while (log := self.table / "_delta_log" / f"{self._next:020}.json").exists():
            files = tuple(added(log, self.table))
            rows = sum(pq.read_metadata(file).num_rows for file in files)
            if rows:
                at = log.stat().st_mtime_ns
                self.versions.append(Version(self._next, at, files, rows))
            self._next += 1
        return sum(version.rows for version in self.versions)

    def events(self) -> pl.DataFrame:
        """Return each event's id, time and `visible`, the version's that had it first (µs)."""
        parts = [
            pl.read_parquet(list(version.files), columns=list(PLACES))
            .cast(PLACES)
            .with_columns(visible=pl.lit(version.at // 1000).cast(pl.Datetime("us", "UTC")))
            for version in self.versions
        ]
        empty = pl.DataFrame(schema={**PLACES, "visible": pl.Datetime("us", "UTC")})
        return pl.concat([empty, *parts]).unique("event_id", keep="first", maintain_order=True)


def added(log: Path, table: Path) -> Iterator[Path]:
    """Yield the files that a version adds, none of one that joins files that were there."""
    actions = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    if any("remove" in action for action in actions):
        return
    for action in actions:
        if "add" in action:
            yield table / unquote(action["add"]["path"])
