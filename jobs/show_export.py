"""Tables for people: what was exported."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from rich.console import Console

from isopach.jobs.exporting import Exported
from isopach.jobs.show import table
from isopach.jobs.show_maintain import amount

MOST = 10
"""Sites that are named."""


def exported(console: Console, done: Sequence[Exported]) -> None:
    """Print a row for each business date, then the sites that are left out."""
    table(console, pl.DataFrame([_row(one) for one in done]))
    for one in (one for one in done if one.left_out):
        named = [f"{site} ({state})" for site, state in list(one.left_out.items())[:MOST]]
        more = f" and {len(one.left_out) - MOST:,} more" if len(one.left_out) > MOST else ""
        said = f"  {one.business_date}: left out, not settled: {', '.join(named)}{more}"
        console.print(said, style="yellow", markup=False, highlight=False)
    rows = sum(one.rows for one in done)
    said = f"{rows:,} rows of {len(done):,} dates, as of version {done[0].version}"
    console.print(said, style="green", highlight=False)


def _row(one: Exported) -> dict[str, object]:
    return {
        "business_date": one.business_date,
        "sites": one.sites,
        "left out": len(one.left_out),
        "rows": one.rows,
        "files": one.files,
        "size": amount(one.bytes),
        "checksum": one.checksum,
    }
