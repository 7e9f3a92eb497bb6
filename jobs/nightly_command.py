"""The command `isopach nightly`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, NoReturn

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

if TYPE_CHECKING:
    from isopach.feeds.load import Declaration
    from isopach.jobs.inputs import Input
    from isopach.jobs.nightly import Options

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
    from isopach.jobs.nightly import Options
    from isopach.jobs.runners import started

    only = frozenset(site) if site else None
    with explained(err), started(Options(only, runner, budget)) as options:
        given = input_of(landing, source, source_settings, declaration)
        run_nights(declaration, given, lake, [(one, options) for one in days], as_json)


def run_nights(
    declaration: Declaration,
    given: Input,
    lake: str,
    nights: Sequence[tuple[date, Options]],
    as_json: bool,
) -> NoReturn:
    """Run nights one after the other, print what came of each, and end with the exit code."""
    from isopach.jobs import show
    from isopach.jobs.nightly import run_night
    from isopach.jobs.progress import Progress

    held, documents = False, []
    try:
        with explained(err):
            home = place_of(lake)
            for day, options in nights:
                summary = run_night(declaration, given, home, day, options, Progress(err))
                held = held or bool(summary.held)
                document = {**asdict(summary), "rows_per_second": summary.rows_per_second}
                documents.append(document)
                if not as_json:
                    show.night(out, summary)
    finally:  # also those before one that failed
        if as_json and documents:
            print(json.dumps(documents[0] if len(nights) == 1 else {"nights": documents}))
    sys.exit(HELD if held else DONE)
