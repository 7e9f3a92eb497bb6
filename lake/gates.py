"""Gates: what suites found, as a run's staging folder keeps it until it is published."""

from __future__ import annotations

import polars as pl

from isopach.lake import tables
from isopach.lake.places import Place
from isopach.lake.replace import upsert

GATES = "gates.parquet"


def write_gates(folder: Place, rows: pl.DataFrame) -> None:
    """Write what a run's gates found to its staging folder."""
    place = folder / GATES
    with place.filesystem.open_output_stream(place.path) as sink:
        rows.write_parquet(sink)


def publish_gates(lake: Place, folder: Place) -> None:
    """Put what a run's gates found into the ledger, in place of what it had found before."""
    place = folder / GATES
    if place.exists():
        rows = pl.read_parquet(place.read_bytes())
        upsert(lake, tables.GATES, rows, ["run", "business_date"])
