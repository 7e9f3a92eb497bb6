"""The command `isopach suite`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from isopach.jobs.arguments import FeedName, Json, Lake, days_of, declaration_of, err, out, place_of
from isopach.jobs.failures import explained

EXAMPLES = (
    "isopach suite sales --lake lake --from 2026-03-08 > proposed.json\n\n"
    "isopach suite sales --lake lake --from 2026-03-01..2026-03-08 --to suites/sales.json"
)


def suite(
    feed: FeedName,
    lake: Lake,
    days: Annotated[
        str,
        typer.Option("--from", metavar="DATE", help="YYYY-MM-DD, or FROM..TO, both included."),
    ],
    to: Annotated[
        Path | None, typer.Option(help="The file to write; else it is printed.", dir_okay=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Propose a suite by looking at the records of settled windows, for people to correct.

    What held for all of them, with room to spare, is critical; the rest are warnings. Of sensitive
    columns it tells lengths and nulls alone.
    """
    dates = days_of(days)
    declaration = declaration_of(feed)
    with explained(err):
        from isopach.jobs.proposing import proposed

        found = proposed(place_of(lake), declaration.feed, dates)
        text = json.dumps(found.model_dump(exclude_none=True), indent=2, ensure_ascii=False) + "\n"
        if to is not None:
            if to.exists():
                raise FileExistsError(f"{to}: is there already; name another file, or move it away")
            to.write_text(text, encoding="utf-8")
    if to is None or as_json:
        print(json.dumps(json.loads(text)) if as_json else text, end="\n" if as_json else "")
    else:
        out.print(f"{to}: {len(found.expectations)} expectations to look through", markup=False)
