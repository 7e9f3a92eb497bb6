from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl

from isopach.feeds.load import load_declaration
from isopach.jobs.endings import finish_killed
from isopach.jobs.nightly import feed_tables
from isopach.lake import tables
from isopach.lake.commits import create_or_open, scan
from isopach.lake.ledger import new_run, record_run
from isopach.lake.places import Place


def dead_process() -> str:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{socket.gethostname()}/{process.pid}"


def outcomes(lake: Place) -> dict[str, str]:
    return dict(scan(lake, tables.RUNS).select("run", "outcome").collect().iter_rows())


def test_only_what_a_killed_run_staged_is_deleted(tmp_path: Path) -> None:
    lake, to = Place.of(tmp_path), feed_tables(load_declaration("sales"))
    create_or_open(lake, to.records)
    killed = replace(new_run("sales", "nightly", "batch", "x", {}), process=dead_process())
    alive = new_run("sales", "nightly", "batch", "x", {})
    elsewhere = replace(new_run("sales", "nightly", "batch", "x", {}), process="elsewhere/1")
    folder = tmp_path / "sales/records/business_date=2026-03-08"
    folder.mkdir(parents=True)
    for run in (killed, alive, elsewhere):
        record_run(lake, run)
        (folder / f"{run.run}-0.parquet").touch()
    finish_killed(lake, to)
    assert outcomes(lake) == {
        killed.run: "killed",
        alive.run: "running",
        elsewhere.run: "running",
    }
    assert {file.name for file in folder.iterdir()} == {
        f"{alive.run}-0.parquet",
        f"{elsewhere.run}-0.parquet",
    }
    assert scan(lake, tables.RUNS).filter(pl.col("ended").is_not_null()).collect().height == 1
