"""A small night of sales that engines run, and that this machine has run."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from commands import isopach
from small_night import assert_same, content

from isopach.feeds.load import load_declaration
from isopach.feeds.sales import write_night
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place

DAY = date(2026, 3, 8)
SALES = load_declaration("sales")


def run_here(folder: Path) -> Path:
    """Fill a landing zone, and run its night on this machine, to the lake `here`."""
    write_night(folder / "landing", DAY, rows=20_000, faults=True)
    assert isopach(*night(folder, "here")).code == 3
    return folder


def night(folder: Path, lake: str) -> list[Any]:
    """Return the arguments of a night."""
    where = ["--landing", folder / "landing", "--lake", folder / lake]
    return ["nightly", "sales", *where, "--date", DAY, "--json"]


def assert_like_here(folder: Path, lake: str, engine: str) -> None:
    """Check that a night that an engine ran left the same tables."""
    there, here = Place.of(folder / lake), Place.of(folder / "here")
    assert_same(content(there, SALES), content(here, SALES))
    assert scan(there, tables.RUNS).collect()["engine"].to_list() == [engine]
