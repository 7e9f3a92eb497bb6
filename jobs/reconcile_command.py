"""The command `isopach reconcile`."""

from __future__ import annotations

import json
import sys
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
    day_of,
    declaration_of,
    err,
    input_of,
    one_input,
    out,
    place_of,
)
from isopach.jobs.failures import DONE, HELD, explained

EXAMPLES = (
    "isopach reconcile sales --lake lake --date 2026-03-08\n\n"
    "isopach reconcile sales --lake lake --date 2026-03-08 --landing landing\n\n"
    "isopach reconcile sales --lake lake --date 2026-03-08 --cause value_changed --json"
)


def reconcile(
    feed: FeedName,
    lake: Lake,
    day: Annotated[str, typer.Option("--date", metavar="YYYY-MM-DD", help="One business date.")],
    landing: Landing = None,
    source: Source = None,
    source_settings: SourceSettings = None,
    site: Sites = None,
    cause: Annotated[str | None, typer.Option(help="Only this cause.")] = None,
    runner: Annotated[
        str, typer.Option(help="Beam runner, with --landing or --source.")
    ] = "FnApiRunner",
    limit: Annotated[int, typer.Option(min=0, help="Records to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show in which records batch and stream differ, and why; nothing is published.

    With --landing or --source what is there now is compared with the stream; without, this shows
    what nights have found. The exit code is 3 where a window differs by more than its feed allows.
    """
    declaration, date = declaration_of(feed), day_of(day)
    assert date is not None
    if source is not None:
        one_input(landing, source)
    check_runner(runner)
    from isopach.jobs import show
    from isopach.jobs.comparing import compare_day
    from isopach.jobs.nightly import Options
    from isopach.jobs.progress import Progress
    from isopach.jobs.queries import recorded_differences
    from isopach.jobs.reconciling import breaches
    from isopach.jobs.runners import started

    compared: int | None = None
    seconds: dict[str, float] = {}
    with explained(err):
        home = place_of(lake)
        if landing is None and source is None:
            rows = recorded_differences(home, declaration.feed.feed, date, site)
        else:
            given = input_of(landing, source, source_settings, declaration)
            only = frozenset(site) if site else None
            with started(Options(only=only, runner=runner)) as options:
                compared, rows, seconds = compare_day(
                    declaration, given, home, date, options, Progress(err)
                )
    beyond = breaches(rows, declaration.feed)
    if cause is not None:
        rows = rows.filter(cause=cause)
    if as_json:
        found = {"differences": rows.to_dicts(), "breaches": beyond}
        document = {"compared": compared, **found, "seconds": seconds}
        print(json.dumps(document, default=str))
    else:
        show.differences(out, rows, limit, compared)
    sys.exit(HELD if beyond else DONE)
