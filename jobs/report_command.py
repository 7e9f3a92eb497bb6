"""The command `isopach report`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isopach.jobs.arguments import Json, Lake, declaration_of, err, out, place_of
from isopach.jobs.failures import explained
from isopach.jobs.report_file import page_of, write_file

if TYPE_CHECKING:
    from isopach.feeds.load import Declaration
    from isopach.jobs.report_data import Report
    from isopach.lake.places import Place

EXAMPLES = (
    "isopach report --lake lake\n\n"
    "isopach report --lake lake --run 20260309T020000123456-a1b2c3 --to night.html\n\n"
    "isopach report sales --lake lake --days 30\n\n"
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
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write; else named after the run.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A summary in Markdown instead of the page.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Report on the quality of a night: one HTML file, or a summary in Markdown.

    The file needs nothing beside it: no script, no network. Markdown goes to stdout where no file
    is named.
    """
    home = place_of(lake)
    declaration = None if feed is None else declaration_of(feed)
    with explained(err):
        found = _of_run(home, declaration, run)
        stem = f"{found.run.feed}-{found.day}-{found.run.run}"
        document = _document(found)
        path = to or Path(f"{stem}.html")
        write_file(path, page_of(found))
    if as_json:
        print(json.dumps({**document, "file": str(path)}, default=str))
    else:
        out.print(str(path), markup=False, highlight=False)
        out.print(f"{document['title']}: {document['headline']}", markup=False, highlight=False)


def _of_run(lake: Place, declaration: Declaration | None, run: str | None) -> Report:
    from isopach.jobs.report_data import report_of
    from isopach.jobs.report_runs import run_of

    chosen = run_of(lake, run, declaration.feed.feed if declaration else None)
    return report_of(lake, chosen, declaration or _known(chosen.feed))


def _known(feed: str) -> Declaration | None:
    """Return a feed's declaration where its name alone finds it: names and regions of its sites."""
    from isopach.feeds.errors import DeclarationError
    from isopach.feeds.load import load_declaration

    try:
        found = load_declaration(feed)
    except DeclarationError:
        return None
    return found if found.feed.feed == feed else None


def _document(found: Report) -> dict[str, Any]:
    """Return a report for other programs."""
    import polars as pl

    from isopach.jobs.report_sites import SETTLED

    failed = found.gates.filter(outcome="failed").drop("trend")
    return {
        "feed": found.run.feed,
        "run": found.run.run,
        "date": found.day,
        "verdict": found.headline.verdict,
        "title": found.headline.title,
        "headline": found.headline.sentence,
        "figures": asdict(found.figures),
        "sites": found.sites.filter(pl.col("state") != SETTLED).to_dicts(),
        "failed_gates": failed.to_dicts(),
        "causes": found.causes.to_dicts(),
    }
