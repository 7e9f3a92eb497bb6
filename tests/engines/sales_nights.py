"""What tests of engines share: a small night of sales that this machine has run, and marks."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from commands import isopach
from small_night import assert_same, content

from isopach.feeds.load import load_declaration
from isopach.feeds.sales import write_night
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place

SPARK = [
    pytest.mark.engines,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java 17"),
]
"""Marks of tests that have a session of Spark in their process."""
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
