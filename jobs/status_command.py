"""The command `isopach status`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from isopach.jobs.arguments import (
    Day,
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
from isopach.jobs.failures import DONE, HELD, explained

if TYPE_CHECKING:
    from isopach.jobs.status import Status

EXAMPLES = (
    "isopach status sales --lake lake\n\n"
    "isopach status sales --lake lake --date 2026-03-08 --site S001 --site S002\n\n"
    "isopach status --lake lake --json"
)


def status(
    lake: Lake,
    feed: Annotated[
        str | None,
        typer.Argument(
            metavar="FEED",
            help="A feed's name, or the path of its YAML; else all feeds that the lake has.",
        ),
    ] = None,
    day: Day = None,
    site: Sites = None,
    as_json: Json = False,
) -> None:
    """Show how each site stands: deliveries, deadlines, events, usual rows, windows and alarms.

    Each site is shown on its newest business date whose deadline has passed there; with --date on
    that date at most. Alarms are sites without delivery and event, and windows that are not
    settled past their deadline: the exit code is 3 where there is one.
    """
    date = day_of(day)
    from isopach.jobs import show_status
    from isopach.jobs.site_ledger import feeds_of
    from isopach.jobs.status import status as status_of

    home = place_of(lake)
    with explained(err):
        names = [feed] if feed else feeds_of(home)
    declarations = [declaration_of(name) for name in names]
    if feed is None and site:  # not every feed has the same registry
        declarations = [d for d in declarations if {*site} & {*d.sites.by_id}] or declarations
    for declaration in declarations:
        check_sites(declaration, site)
    with explained(err):
        now = datetime.now(UTC)
        found = [status_of(home, one, now, date, site) for one in declarations]
    if as_json:
        print(json.dumps({"feeds": [_document(one) for one in found]}, default=str))
    else:
        for one in found:
            show_status.status(out, one)
    sys.exit(HELD if any(not one.alarms.is_empty() for one in found) else DONE)


def _document(found: Status) -> dict[str, object]:
    return {
        "feed": found.feed,
        "date": found.date,
        "alarms": found.alarms.to_dicts(),
        "sites": found.sites.to_dicts(),
    }
