"""The command `isopach replay`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from isopach.jobs.arguments import (
    Day,
    FeedName,
    Json,
    Lake,
    Sites,
    check_sites,
    day_of,
    declaration_of,
    err,
    out,
    place_of,
)
from isopach.jobs.failures import explained

EXAMPLES = (
    "isopach replay sales --lake lake --dry-run\n\n"
    "isopach replay sales --lake lake --date 2026-03-08 --site S001 --reason malformed\n\n"
    "isopach replay sales --lake lake --json"
)


def replay(
    feed: FeedName,
    lake: Lake,
    day: Day = None,
    site: Sites = None,
    reason: Annotated[str | None, typer.Option(help="Only rows rejected for this reason.")] = None,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be accepted, and write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run rejected rows through today's rules: those accepted go into records, each at most once.

    Rows of windows that are held wait for their night, and are left alone; so are late rows and
    duplicates. With --date or --site, so are rows of which that was not known.
    """
    declaration, date = declaration_of(feed), day_of(day)
    check_sites(declaration, site)
    from isopach.jobs import show_replay
    from isopach.jobs.progress import Progress
    from isopach.jobs.replaying import run_replay
    from isopach.pipelines.replay import Choice

    choice = Choice(date, tuple(site or ()), reason)
    with explained(err):
        summary = run_replay(declaration, place_of(lake), choice, Progress(err), dry)
    if as_json:
        print(json.dumps(asdict(summary)))
    else:
        show_replay.replay(out, summary)
