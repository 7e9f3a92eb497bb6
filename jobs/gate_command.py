"""The command `isopach gate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from isopach.jobs.arguments import (
    EngineName,
    FeedName,
    Json,
    Lake,
    bad_usage,
    day_of,
    declaration_of,
    err,
    out,
    place_of,
)
from isopach.jobs.failures import BAD_USAGE, DONE, FAILED, HELD, explained

if TYPE_CHECKING:
    from datetime import date

    from isopach.feeds.feed import Feed
    from isopach.jobs.settled import Settled
    from isopach.jobs.table_gate import Engine
    from isopach.lake.places import Place

EXAMPLES = (
    "isopach gate sales --lake lake --date 2026-03-08\n\n"
    "isopach gate sales --lake s3://bucket/lake --date 2026-03-08 --engine spark --json"
)


def gate(
    feed: FeedName,
    lake: Lake,
    day: Annotated[str, typer.Option("--date", metavar="YYYY-MM-DD", help="One business date.")],
    version: Annotated[
        int | None,
        typer.Option(min=0, help="What nights had published by this version of the table."),
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="What looks at rows: this process, or Spark.")
    ] = "delta-rs",
    as_json: Json = False,
) -> None:
    """Hold settled records of a business date against the feed's suite, once more.

    As when a suite has changed since, or a table was mended by hand. Nothing is taken back: what is
    found goes to ledger/gates, and the exit code is 3 where a critical expectation fails.
    """
    chosen = day_of(day)
    assert chosen is not None
    declaration = declaration_of(feed)
    if declaration.feed.suite is None:
        err.print(f"{declaration.path}: suite: there is none; name one", style="red")
        raise typer.Exit(BAD_USAGE)
    from isopach.expectations.checking import check_suites
    from isopach.jobs import show_gate
    from isopach.jobs.table_gate import gate_table

    with explained(err):
        check_suites(declaration)
        home = place_of(lake)
        settled = _settled(home, declaration.feed, chosen, version)
        if settled is None:
            said = f"{home.uri}: no window of {declaration.feed.feed} is settled on {day}"
            err.print(said, style="red", highlight=False)
            raise typer.Exit(FAILED)
        with _engine(engine) as reader:
            judged = gate_table(settled, reader, engine)
    if as_json:
        print(json.dumps(asdict(judged)))
    else:
        show_gate.judged(out, judged)
    sys.exit(HELD if judged.held else DONE)


def _settled(home: Place, feed: Feed, day: date, version: int | None) -> Settled | None:
    from isopach.jobs.settled import at_version, settled_days
    from isopach.lake import commits, tables

    if version is None:
        return next(iter(settled_days(home, feed, [day])), None)
    newest = commits.version(home, tables.records(feed.feed, feed.payload))
    if newest is not None and version > newest:
        bad_usage("--version", str(version), f"is not there yet: the newest is {newest}")
    return at_version(home, feed, day, version)


@contextmanager
def _engine(name: EngineName) -> Iterator[Engine]:
    """Give the engine of a name; Spark lives for as long as it is used."""
    if name == "delta-rs":
        from isopach.jobs.table_gate import InProcess

        yield InProcess()
        return
    from isopach.jobs.sessions import started

    with started("isopach gate") as spark:
        from isopach.jobs.spark.gate import OnSpark

        yield OnSpark(spark)
