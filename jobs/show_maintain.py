"""Tables for people: what maintenance did."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from rich.console import Console

from isopach.jobs.maintaining import Upkeep
from isopach.jobs.show import table


def maintained(console: Console, done: Sequence[Upkeep], dry: bool) -> None:
    """Print a row for each table, then what the check found."""
    table(console, pl.DataFrame([_row(one) for one in done]))
    for finding in (finding for one in done for finding in one.findings):
        said = f"  {finding.check}: {finding.message}"
        console.print(said, style="red", markup=False, highlight=False)
    fewer = sum(one.files_before - one.files_after for one in done)
    gone, freed = sum(one.deleted for one in done), sum(one.freed for one in done)
    would = "would have" if dry else "have"
    said = f"{len(done)} tables {would} {fewer:,} files fewer; {gone:,} files "
    said += f"{'would be ' if dry else ''}deleted, {amount(freed)}"
    sound = not any(one.findings for one in done)
    console.print(
        f"{said}; {'checked' if sound else 'not sound'}",
        style="green" if sound else "red",
        highlight=False,
    )


def _row(one: Upkeep) -> dict[str, object]:
    return {
        "table": one.table,
        "files": one.files_before,
        "after": one.files_after,
        "deleted": one.deleted,
        "freed": amount(one.freed),
        "versions": str(one.version_before)
        if one.version_after == one.version_before
        else f"{one.version_before}..{one.version_after}",
    }


def amount(size: int) -> str:
    """Return bytes as people write them."""
    for unit, least in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= least:
            return f"{size / least:,.1f} {unit}"
    return f"{size} B"
