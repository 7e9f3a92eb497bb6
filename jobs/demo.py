"""The demo: three days of 200 stores, as events and as files, with faults that are known."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from isopach.feeds.load import Declaration, load_declaration
from isopach.feeds.produce import produce
from isopach.feeds.sales import write_night
from isopach.feeds.sales_events import Plan
from isopach.feeds.targets import SpoolTarget
from isopach.jobs import show
from isopach.jobs.delivered import Deliveries
from isopach.jobs.live import Live
from isopach.jobs.micro_batches import Options
from isopach.jobs.nightly import Options as NightOptions
from isopach.jobs.nightly import feed_tables, run_night
from isopach.jobs.progress import Progress
from isopach.jobs.queries import window_counts
from isopach.jobs.report_data import report_of
from isopach.jobs.report_file import MissingExtraError, page_of, write_file
from isopach.jobs.report_runs import run_of
from isopach.jobs.stream import run_stream
from isopach.lake.places import Place
from isopach.pipelines.spool import Spool
from isopach.pipelines.verify import verify

FIRST_NIGHT = date(2026, 3, 7)
NIGHTS = 3
MARKER = ".isopach-demo"


def run_demo(to: Path, rows: int, out: Console, err: Console) -> dict[str, Any]:
    """Stream three days of events, consolidate the nights' deliveries, and verify the tables.

    Raises OSError if the folder holds something that no demo made.
    """
    _make_anew(to)
    declaration = load_declaration("sales")
    landing, lake = Deliveries(Place.of(to / "landing")), Place.of(to / "lake")
    days = [FIRST_NIGHT + timedelta(days=number) for number in range(NIGHTS)]
    with Progress(err).phase("Events", {}):
        sent = produce(SpoolTarget(to / "spool"), days, Plan(rows=rows, faults=True))
    log = Spool(to / "spool", "sales")
    with Live(err, "sales"):
        streamed = run_stream(declaration, log, lake, Options(until_idle=True), {})
    show.stream(out, streamed)
    nights = []
    for day in days:
        with Progress(err).phase("Sites", {}):
            truth = write_night(to / "landing", day, rows=rows, faults=True)
        summary = run_night(declaration, landing, lake, day, NightOptions(), Progress(err))
        show.night(out, summary)
        nights.append({**asdict(summary), "injected_faults": truth.faults.height})
    show.modes(
        out, window_counts(lake, "sales", None, None).filter(pl.col("business_date").is_in(days))
    )
    proof = verify(lake, declaration.feed, feed_tables(declaration), None)
    show.proof(out, proof)
    report = _report(lake, declaration, summary.run, to / "report.html", out)
    out.print(
        f"\nLook around:\n"
        f"  isopach counts sales --lake {to / 'lake'} --date {FIRST_NIGHT}\n"
        f"  isopach quarantine sales --lake {to / 'lake'} --reason malformed\n"
        f"  isopach verify sales --lake {to / 'lake'}",
        highlight=False,
    )
    return {
        "stream": {**asdict(streamed), "sent": sent.truth.events},
        "nights": nights,
        "verified": not proof.findings,
        "report": report,
    }


def _report(
    lake: Place, declaration: Declaration, run: str, file: Path, out: Console
) -> str | None:
    """Write the report of a night, where what pages are made with is installed."""
    try:
        write_file(file, page_of(report_of(lake, run_of(lake, run, None), declaration)))
    except MissingExtraError as missing:
        out.print(f"no report: {missing}", markup=False, highlight=False)
        return None
    out.print(f"report of the last night: {file}", markup=False, highlight=False)
    return str(file)


def _make_anew(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise FileExistsError(f"{folder}: holds files that no demo made; choose another with --to")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
