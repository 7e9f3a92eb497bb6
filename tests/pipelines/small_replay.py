"""The small feed with rules that are mended later, and what its lakes say in the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from small_night import FEED, ZONES, declare
from small_stream import HISTORY, Content, SmallStream, summed

from isopach.jobs.nightly import feed_tables
from isopach.jobs.progress import Progress
from isopach.jobs.queries import window_counts
from isopach.jobs.replaying import Summary, run_replay
from isopach.lake import tables
from isopach.lake.commits import version
from isopach.pipelines.replay import Choice

QUIET = Progress(Console(quiet=True))
NEW: dict[str, Any] = {
    **FEED,
    "columns": {**FEED["columns"], "at": {"type": "timestamp", "required": True, "zone": "site"}},
    "lateness": {"out_of_order": "10m", "allowed": "30d"},
}
"""Today's rules: times without offset are the site's own."""
OLD: dict[str, Any] = {
    **NEW,
    "columns": {**FEED["columns"], "note": {"type": "string", "required": True, "sensitive": True}},
    "extra_columns": "reject",
}
"""Yesterday's: a note is required, other columns are not taken, and a site is not registered."""
NEW_ZONES = {**ZONES, "lima": "America/Lima"}


@dataclass(frozen=True)
class Mended(SmallStream):
    """A lake whose rows came by the old rules, and are replayed by the new ones."""

    @staticmethod
    def begun(folder: Path) -> Mended:
        """Return one with an empty lake, by the old rules."""
        return Mended(folder, declare(folder, OLD, ZONES))

    def mended(self) -> Mended:
        """Return it by the new rules."""
        return Mended(self.folder, declare(self.folder, NEW, NEW_ZONES))

    def replay(self, dry: bool = False, **choice: Any) -> Summary:
        return run_replay(self.declaration, self.lake, Choice(**choice), QUIET, dry)

    def versions(self) -> dict[str, int | None]:
        """Return the versions of all tables, the ledger's included."""
        to = feed_tables(self.declaration).all
        ledger = [tables.RUNS, tables.COUNTS, tables.WINDOWS, tables.DIFFERENCES]
        return {table.name: version(self.lake, table) for table in [*to, *ledger]}

    def land(self, source: str, lines: list[str], first: int = 0) -> None:
        """Land a source's lines from a position on, by a new committer."""
        lander = self.lander()
        lander.learn()
        assert lander.land([self.interval(source, lines, first, len(lines))]) == []
        lander.flush()

    def told(self) -> Content:
        """Return what all tables say, without which run wrote it; replayed rows left out."""
        found = {
            name: self.table(name).drop(HISTORY, strict=False)
            for name in ("records", "quarantine", "windows", "totals_by_minutes", "totals_all")
        }
        aside = found["quarantine"]
        found["quarantine"] = aside.filter(pl.col("replayed_run").is_null()).drop("replayed_run")
        found["windows"] = found["windows"].drop("progress")
        streamed = summed(self.table("counts"))
        figures = pl.sum_horizontal(pl.col(pl.Int64).abs())
        found["stream"] = streamed.filter(figures > 0)
        shown = window_counts(self.lake, "visits", None, None)
        found["counts"] = shown.drop("run", "settled_by", "bytes")
        return {name: table.sort(table.columns) for name, table in found.items()}
