"""The command `isopach repair`."""

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
    check_runner,
    check_sites,
    day_of,
    declaration_of,
    err,
    input_of,
    one_input,
    out,
    place_of,
)
from isopach.jobs.failures import DONE, FAILED, HELD, explained

EXAMPLES = (
    "isopach repair sales --lake lake --date 2026-03-08 --landing landing\n\n"
    "isopach repair sales --lake lake --date 2026-03-08 --source spool:spool --site S001"
)


def repair(
    feed: FeedName,
    lake: Lake,
    day: Annotated[str, typer.Option("--date", metavar="YYYY-MM-DD", help="One business date.")],
    landing: Landing = None,
    source: Source = None,
    source_settings: SourceSettings = None,
    site: Sites = None,
    runner: Annotated[str, typer.Option(help="Beam runner.")] = "FnApiRunner",
    limit: Annotated[int, typer.Option(min=0, help="Records to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Correct settled windows from a newer delivery, or from the stream's log.

    What a night has settled is compared with what is there now; windows that differ are replaced
    in one commit, compared once more, and the others left alone. The exit code is 3 where some
    delivery cannot be used.
    """
    date = day_of(day)
    assert date is not None
    one_input(landing, source)
    declaration = declaration_of(feed)
    check_sites(declaration, site)
    check_runner(runner)
    from isopach.jobs import show
    from isopach.jobs.nightly import Options
    from isopach.jobs.progress import Progress
    from isopach.jobs.repairing import repair as carry_out
    from isopach.jobs.runners import started

    only = frozenset(site) if site else None
    with explained(err), started(Options(only=only, runner=runner)) as options:
        given = input_of(landing, source, source_settings, declaration)
        done = carry_out(declaration, given, place_of(lake), date, options, Progress(err))
    if as_json:
        rows = {"differences": done.differences.to_dicts()}
        print(json.dumps(asdict(done) | rows, default=str))
    else:
        show.repaired(out, done, limit)
    sys.exit(FAILED if done.again else HELD if done.left else DONE)
