"""The command `isopach export`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from isopach.jobs.arguments import (
    EngineName,
    FeedName,
    Json,
    Lake,
    days_of,
    declaration_of,
    err,
    out,
    place_of,
)
from isopach.jobs.failures import DONE, FAILED, HELD, explained

if TYPE_CHECKING:
    from isopach.jobs.exporting import Engine

EXAMPLES = (
    "isopach export sales --lake lake --to plain --date 2026-03-08\n\n"
    "isopach export sales --lake lake --to plain --date 2026-03-01..2026-03-31 --format csv\n\n"
    "isopach export sales --lake s3://bucket/lake --to s3://bucket/plain --engine spark"
)


def export(
    feed: FeedName,
    lake: Lake,
    to: Annotated[str, typer.Option(help="Where files go: folder, s3://… or gs://…")],
    day: Annotated[
        str | None,
        typer.Option(
            "--date", metavar="DATE", help="YYYY-MM-DD, or FROM..TO; all that is settled without."
        ),
    ] = None,
    form: Annotated[
        Literal["parquet", "csv"], typer.Option("--format", help="What files are.")
    ] = "parquet",
    engine: Annotated[
        EngineName, typer.Option(help="What reads and writes: this process, or Spark.")
    ] = "delta-rs",
    as_json: Json = False,
) -> None:
    """Write settled records to plain files, a folder for each business date.

    All dates are of one version of the table. What a date has is told by its _manifest.json, which
    is replaced whole: read the files that it names. Sites that are not settled are left out and
    named, and the exit code is 3. Values of sensitive columns are written as they are.
    """
    days = None if day is None else days_of(day)
    declaration = declaration_of(feed)
    from isopach.jobs import show_export
    from isopach.jobs.exporting import export as carry_out
    from isopach.jobs.progress import Progress
    from isopach.jobs.settled import settled_days

    with explained(err):
        home, folder = place_of(lake), place_of(to)
        settled = settled_days(home, declaration.feed, days)
        if not settled:
            said = f"{home.uri}: no window of {declaration.feed.feed} is settled"
            err.print(f"{said} on {day}" if day else said, style="red", highlight=False)
            raise typer.Exit(FAILED)
        done = []
        with _engine(engine) as writer, Progress(err).steps("export", len(settled)) as step:
            for number, one in enumerate(settled):
                step(number, f"{one.day}")
                done.append(carry_out(one, folder, form, writer, engine))
    if as_json:
        document = {
            "feed": declaration.feed.feed,
            "engine": engine,
            "format": form,
            "version": done[0].version,
            "dates": [asdict(one) for one in done],
        }
        print(json.dumps(document))
    else:
        show_export.exported(out, done)
    sys.exit(HELD if any(one.left_out for one in done) else DONE)


@contextmanager
def _engine(name: EngineName) -> Iterator[Engine]:
    """Give the engine of a name; Spark lives for as long as it is used."""
    if name == "delta-rs":
        from isopach.jobs.plain_files import InProcess

        yield InProcess()
        return
    from isopach.jobs.sessions import started

    with started("isopach export") as spark:
        from isopach.jobs.spark.export import OnSpark

        yield OnSpark(spark)
