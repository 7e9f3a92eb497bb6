"""Maintenance of the small feed's lake, as if a week had gone by, and kills in the middle of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from disturbed import DiedError
from rich.console import Console
from small_night import DAY
from small_stream import Content, SmallStream

from isopach.jobs.maintaining import DeltaRs, Engine, Options, Upkeep, maintain
from isopach.jobs.nightly import feed_tables
from isopach.jobs.progress import Progress
from isopach.lake import tables
from isopach.lake.commits import newest
from isopach.lake.delta_log import read_log
from isopach.lake.places import Place

DELTA_RS = DeltaRs()


class Dying(Progress):
    """Shows nothing, and dies at a step, counted from one over all tables."""

    def __init__(self, at: int = 0) -> None:
        super().__init__(Console(quiet=True))
        self.at, self.done = at, 0

    @contextmanager
    def steps(self, name: str, total: int) -> Iterator[Callable[[int, str], None]]:
        yield self._step

    def _step(self, done: int, said: str) -> None:
        self.done += 1
        if self.done == self.at:
            raise DiedError


def maintained(
    lake: SmallStream, days: float = 8, dies: int = 0, engine: Engine = DELTA_RS, dry: bool = False
) -> list[Upkeep]:
    """Maintain a lake with a clock that is some days ahead."""
    options = Options(now=datetime.now(UTC) + timedelta(days=days), dry=dry)
    done = maintain(lake.declaration, lake.lake, options, Dying(dies), engine)
    assert [finding for one in done for finding in one.findings] == []
    return done


def fences(lake: SmallStream) -> dict[str, dict[str, int | None]]:
    """Return what each table says of all names that its log ever had, by the library itself."""
    found: dict[str, dict[str, int | None]] = {}
    for table in (*feed_tables(lake.declaration).all, *tables.LEDGER):
        now = newest(lake.lake, table)
        if now is not None:
            names = read_log(lake.lake, table).fences()
            found[table.name] = {name: now.delta.transaction_version(name) for name in names}
    return found


def said(lake: SmallStream) -> Content:
    """Return what all tables say, without which run wrote it and when."""
    nights = lake.table("counts").filter(mode="batch").drop("run").unique()
    return {**lake.streamed(), "nights": nights.sort(pl.all())}


def lost_file(lake: Place) -> Path:
    """Leave an old file among the records that no version ever named; return it."""
    path = Path(lake.path) / f"visits/records/business_date={DAY}/lost.parquet"
    path.write_bytes(b"lost")
    os.utime(path, (0, 0))
    return path


def data_files(lake: SmallStream, table: str) -> set[str]:
    """Return the names of the data files of one of the feed's tables, visible or not."""
    return {
        path.name
        for path in Path(lake.lake.path, "visits", table).glob("business_date=*/*.parquet")
    }
