"""The demo: three nights of 200 stores, with faults that are known."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from isopach.feeds.load import load_declaration
from isopach.feeds.sales import write_night
from isopach.jobs import show
from isopach.jobs.nightly import Options, feed_tables, run_night
from isopach.jobs.progress import Progress
from isopach.lake.places import Place
from isopach.pipelines.verify import verify

FIRST_NIGHT = date(2026, 3, 7)
NIGHTS = 3
MARKER = ".isopach-demo"


def run_demo(to: Path, rows: int, out: Console, err: Console) -> dict[str, Any]:
    """Write three nights of deliveries, consolidate them, and verify the tables.

    Raises OSError if the folder holds something that no demo made.
    """
    _make_anew(to)
    declaration = load_declaration("sales")
    landing, lake = Place.of(to / "landing"), Place.of(to / "lake")
    nights = []
    for number in range(NIGHTS):
        day = FIRST_NIGHT + timedelta(days=number)
        with Progress(err).phase("Sites", {}):
            truth = write_night(to / "landing", day, rows=rows, faults=True)
        summary = run_night(declaration, landing, lake, day, Options(), Progress(err))
        show.night(out, summary)
        nights.append({**asdict(summary), "injected_faults": truth.faults.height})
    proof = verify(lake, declaration.feed, feed_tables(declaration), None)
    show.proof(out, proof)
    out.print(
        f"\nLook around:\n"
        f"  isopach counts sales --lake {to / 'lake'} --date {FIRST_NIGHT}\n"
        f"  isopach quarantine sales --lake {to / 'lake'} --reason malformed\n"
        f"  isopach verify sales --lake {to / 'lake'}",
        highlight=False,
    )
    return {"nights": nights, "verified": not proof.findings}


def _make_anew(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise FileExistsError(f"{folder}: holds files that no demo made; choose another with --to")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
