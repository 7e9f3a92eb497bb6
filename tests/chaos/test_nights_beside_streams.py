"""Nights, some of them killed, beside a stream at full speed on the same dates and tables.

A third of `ISOPACH_KILLS` nights are killed, two if it is not set.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from children import KILLED, Forks
from small_night import SmallNight, assert_same

from isopach.feeds.load import load_declaration
from isopach.feeds.sales import write_night
from isopach.jobs.failures import DONE, HELD

KILLS = max(int(os.environ.get("ISOPACH_KILLS", "6")) // 3, 2)
SEED = 20260308
DAYS = [date(2026, 3, 8), date(2026, 3, 9)]
RATE = 3000
"""Events a second, with bursts of three times as many."""
ROWS = 7500 * KILLS
"""Of a day: the events last about as long as the nights, which are not waited for."""
WINDOW = ["site", "business_date"]
NIGHT_SECONDS = 2.5


@dataclass(frozen=True)
class Sales(SmallNight):
    """The feed of sales, with deliveries, a spool and a lake in one folder."""

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def night(self, day: date, sites: list[str] | None = None) -> list[str]:
        """Return the command that runs a night, of some sites or of all."""
        chosen = [word for site in sites or () for word in ("--site", site)]
        where = ["--landing", self.landing.path, "--lake", self.lake.path]
        return ["nightly", "sales", "--date", f"{day}", *where, *chosen]

    def stream(self, *more: str) -> list[str]:
        """Return the command that streams the spool."""
        where = ["--source", f"spool:{self.spool}", "--lake", self.lake.path]
        return ["stream", "sales", *where, "--every", "200ms", "--idle-after", "1h", *more]

    def lines(self) -> pl.DataFrame:
        """Return the site that each line of the spool names, by source and position."""
        parts = [
            pl.DataFrame({"_line": file.read_bytes().decode(errors="replace").split("\n")[:-1]})
            .with_row_index("_position", int(file.stem))
            .with_columns(_source=pl.lit(f"spool/{file.parent.name}"))
            for file in self.spool.glob("sales/*/*.jsonl")
        ]
        site = pl.col("_line").str.extract(r'"store": ?"([^"]*)"').alias("site")
        return pl.concat(parts).select("_source", pl.col("_position").cast(pl.Int64), site)

    def streamed(self) -> pl.DataFrame:
        """Return source and position of all rows of the stream that are stored."""
        where = ["_source", "_position", "_mode"]
        tables = [self.table(name).select(where) for name in ("records", "quarantine")]
        return pl.concat(tables).filter(_mode="stream").drop("_mode")


@pytest.fixture
def sales(tmp_path: Path) -> Sales:
    for day in DAYS:
        write_night(tmp_path / "landing", day, rows=ROWS, faults=True)
    return Sales(tmp_path, load_declaration("sales"))


@contextmanager
def running(*module: str, by: signal.Signals) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module as a process of its own, and end it with a signal."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
        process.send_signal(by)
        _, said = process.communicate(timeout=120)
        assert process.returncode == (KILLED if by == signal.SIGKILL else 0), said.decode()
    finally:
        process.kill()
        process.communicate()


def producing(sales: Sales) -> Any:
    """Send events at a high rate until they are all sent, or this is left."""
    return running(
        "isopach.feeds.produce", "--to", f"spool:{sales.spool}", "--faults",
        "--date", f"{DAYS[0]}", "--days", f"{len(DAYS)}", "--rows", f"{ROWS}",
        "--rate", f"{RATE}", "--burst", "3x",
        by=signal.SIGTERM,
    )  # fmt: skip


def nights(sales: Sales, forks: Forks, draw: random.Random, kills: range) -> int:
    """Run nights of some sites, each killed and run again; return how many were killed."""
    sites, killed = [site.site for site in sales.declaration.sites], 0
    for number in kills:
        some = sales.night(DAYS[number % len(DAYS)], draw.sample(sites, 40))
        when: dict[str, Any] = (
            {"die": draw.randrange(4, 20)}
            if number % 2
            else {"seconds": draw.uniform(0.3, NIGHT_SECONDS)}
        )
        killed += forks.command(*some, **when).code == KILLED
        assert forks.command(*some).code in (DONE, HELD)
    return killed


def check_positions(sales: Sales) -> None:
    """Check that each position is stored once, or was accepted in a window that is settled."""
    lines, stored = sales.lines(), sales.streamed()
    where = ["_source", "_position"]
    assert not stored.is_duplicated().any()
    assert stored.join(lines, on=where, how="anti").is_empty()
    replaced = lines.join(stored, on=where, how="anti")
    settled = sales.table("windows").filter(state="settled").select(WINDOW)
    counted = sales.table("counts").filter(mode="stream").join(settled, on=WINDOW, how="semi")
    accepted = (
        counted.group_by("site").agg(rows=pl.col("accepted").sum()).filter(pl.col("rows") > 0)
    )
    found = replaced.group_by("site").agg(rows=pl.len().cast(pl.Int64))
    assert not replaced.is_empty()
    assert found.sort("site").equals(accepted.sort("site"))


def settled_by_nights(sales: Sales) -> dict[str, pl.DataFrame]:
    """Return what nights have left: their records, totals, rows set aside and windows."""
    found = sales.content()
    found["counts"] = found["counts"].drop("streamed")  # what the stream had when it was compared
    windows = found["windows"].filter(state="settled")
    ours = windows.select(WINDOW)
    return {
        "windows": windows.drop("progress"),
        "records": found["records"].filter(_mode="batch"),
        "quarantine": found["quarantine"].filter(_mode="batch"),
        "totals_by_sku": found["totals_by_sku"].join(ours, on=WINDOW, how="semi"),
        "counts": found["counts"].filter(mode="batch"),
    }


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_while_nights_publish(
    sales: Sales, forks: Forks, tmp_path: Path
) -> None:
    draw = random.Random(SEED)
    stream = ("isopach.jobs.cli", *sales.stream())
    with producing(sales) as producer:
        with running(*stream, by=signal.SIGKILL):
            killed = nights(sales, forks, draw, range(KILLS // 2))
        with running(*stream, by=signal.SIGINT):
            killed += nights(sales, forks, draw, range(KILLS // 2, KILLS))
            for day in DAYS:
                assert forks.command(*sales.night(day)).code == HELD
            assert producer.poll() in (None, 0)
    assert killed >= KILLS / 2
    assert sales.table("counts").filter(mode="stream")["read"].sum() > RATE
    assert forks.command(*sales.stream("--until-idle")).code == DONE
    assert sales.findings() == []
    assert forks.command("verify", "sales", "--lake", sales.lake.path).code == DONE
    check_positions(sales)

    before = sales.content()
    assert forks.command(*sales.stream("--until-idle")).code == DONE
    assert_same(before, sales.content())

    undisturbed = Sales(tmp_path / "undisturbed", sales.declaration)
    (tmp_path / "undisturbed").mkdir()
    (tmp_path / "undisturbed/landing").symlink_to(tmp_path / "landing")
    for day in DAYS:
        assert forks.command(*undisturbed.night(day)).code == HELD
    assert_same(settled_by_nights(undisturbed), settled_by_nights(sales))
