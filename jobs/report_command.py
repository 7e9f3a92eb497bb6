"""The command `isopach report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isopach.jobs.arguments import Json, Lake, bad_usage, declaration_of, err, out, place_of
from isopach.jobs.failures import explained

if TYPE_CHECKING:
    from isopach.feeds.load import Declaration
    from isopach.jobs.report_data import Report
    from isopach.jobs.report_trends import Trends
    from isopach.lake.places import Place

EXAMPLES = (
    "isopach report --lake lake\n\n"
    "isopach report --lake lake --run 20260309T020000123456-a1b2c3 --to night.html\n\n"
    "isopach report sales --lake lake --days 30\n\n"
    "isopach report --lake lake --json\n\n"
    "isopach report --lake lake --markdown >> $GITHUB_STEP_SUMMARY"
)


def report(
    lake: Lake,
    feed: Annotated[
        str | None,
        typer.Argument(
            metavar="FEED",
            help="A feed's name, or the path of its YAML; needed where the lake has several.",
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="A run over a business date; else the newest night.")
    ] = None,
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, max=3660, help="Instead, trends over the last dates."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write; else named after the run.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A summary in Markdown instead of the page.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Report on the quality of a night, or of the last dates: one HTML file, or Markdown.

    The file needs nothing beside it: no script, no network. Markdown goes to stdout where no file
    is named.
    """
    if run is not None and days is not None:
        bad_usage("--days", str(days), "cannot be given together with --run")
    from isopach.jobs.report_file import document_of, markdown_of, page_of, stem_of, write_file

    home = place_of(lake)
    declaration = None if feed is None else declaration_of(feed)
    with explained(err):
        if days is None:
            found: Report | Trends = _of_run(home, declaration, run)
        else:
            found = _of_days(home, declaration, days)
        written = markdown_of(found) if markdown else page_of(found)
        file = to if markdown else to or Path(f"{stem_of(found)}.html")
        if file is not None:
            write_file(file, written)
    if as_json:
        document = {**document_of(found), "file": file and str(file)}
        print(json.dumps(document | ({"markdown": written} if markdown else {}), default=str))
    elif file is None:
        print(written, end="")
    else:
        said = f"{file}\n{found.headline.title}: {found.headline.sentence}"
        out.print(said, markup=False, highlight=False)


def _of_run(lake: Place, declaration: Declaration | None, run: str | None) -> Report:
    from isopach.jobs.report_data import report_of
    from isopach.jobs.report_runs import run_of

    chosen = run_of(lake, run, declaration.feed.feed if declaration else None)
    return report_of(lake, chosen, declaration or _known(chosen.feed))


def _of_days(lake: Place, declaration: Declaration | None, days: int) -> Trends:
    from isopach.jobs.report_runs import run_of
    from isopach.jobs.report_trends import trends_of

    feed = declaration.feed.feed if declaration else run_of(lake, None, None).feed
    return trends_of(lake, feed, days, declaration or _known(feed))


def _known(feed: str) -> Declaration | None:
    """Return a feed's declaration where its name alone finds it: names and regions of its sites."""
    from isopach.feeds.errors import DeclarationError
    from isopach.feeds.load import load_declaration

    try:
        found = load_declaration(feed)
    except DeclarationError:
        return None
    return found if found.feed.feed == feed else None
