"""The command `isopach nightly`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from isopach.jobs.arguments import (
    FeedName,
    Json,
    Lake,
    Landing,
    Sites,
    Source,
    SourceSettings,
    bytes_of,
    check_runner,
    check_sites,
    days_of,
    declaration_of,
    err,
    input_of,
    one_input,
    out,
    place_of,
)
from isopach.jobs.failures import DONE, HELD, explained

EXAMPLES = (
    "isopach nightly sales --landing landing --date 2026-03-08 --lake lake\n\n"
    "isopach nightly sales --landing landing --date 2026-03-08 --lake lake --site S001\n\n"
    "isopach nightly sales --source spool:spool --date 2026-03-08 --lake lake\n\n"
    "isopach nightly flights --landing s3://sent --date 2013-01-01..2013-01-31 --lake s3://lake"
)


def nightly(
    feed: FeedName,
    lake: Lake,
    day: Annotated[
        str, typer.Option("--date", metavar="DATE", help="YYYY-MM-DD, or FROM..TO, both included.")
    ],
    landing: Landing = None,
    source: Source = None,
    source_settings: SourceSettings = None,
    site: Sites = None,
    runner: Annotated[str, typer.Option(help="Beam runner.")] = "FnApiRunner",
    memory: Annotated[
        str, typer.Option(help="What the process may take, as in 2GB; larger nights run in waves.")
    ] = "2.5GB",
    as_json: Json = False,
) -> None:
    """Stage, audit and publish a business date (or several): what was delivered, or its events.

    A feed without deliveries settles from its log, which is read once more: --source.
    """
    days, budget = days_of(day), bytes_of(memory)
    one_input(landing, source)
    declaration = declaration_of(feed)
    check_sites(declaration, site)
    check_runner(runner)
    from isopach.jobs import show
    from isopach.jobs.nightly import Options, run_night
    from isopach.jobs.progress import Progress

    options = Options(only=frozenset(site) if site else None, runner=runner, memory=budget)
    held, documents = False, []
    try:
        with explained(err):
            given = input_of(landing, source, source_settings, declaration)
            home = place_of(lake)
            for one in days:
                summary = run_night(declaration, given, home, one, options, Progress(err))
                held = held or bool(summary.held)
                document = {**asdict(summary), "rows_per_second": summary.rows_per_second}
                documents.append(document)
                if not as_json:
                    show.night(out, summary)
    finally:  # also those before one that failed
        if as_json and documents:
            print(json.dumps(documents[0] if len(days) == 1 else {"nights": documents}))
    sys.exit(HELD if held else DONE)
