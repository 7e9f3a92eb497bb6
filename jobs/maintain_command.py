"""The command `isopach maintain`."""

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
    declaration_of,
    err,
    out,
    place_of,
    seconds_of,
)
from isopach.jobs.failures import DONE, FAILED, explained

if TYPE_CHECKING:
    from datetime import timedelta

    from isopach.jobs.maintaining import Engine

EXAMPLES = (
    "isopach maintain sales --lake lake --dry-run\n\n"
    "isopach maintain sales --lake lake --retention 30d\n\n"
    "isopach maintain sales --lake s3://bucket/lake --engine spark --json"
)


def maintain(
    feed: FeedName,
    lake: Lake,
    engine: Annotated[
        EngineName, typer.Option(help="What rewrites files: this process, or Spark for large ones.")
    ] = "delta-rs",
    retention: Annotated[
        str, typer.Option(help="Keep the files of all versions since, such as 36h or 30d.")
    ] = "7d",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Join small files, delete what nobody needs, tidy the logs, and check tables and ledger.

    Nights and streams may go on meanwhile. Files that a run under way has written, that wait to be
    published, or that a stream's landing still describes are kept, however old. The exit code is 1
    where the check finds something.
    """
    kept = _retention(retention)
    declaration = declaration_of(feed)
    from isopach.jobs import show_maintain
    from isopach.jobs.maintaining import Options
    from isopach.jobs.maintaining import maintain as carry_out
    from isopach.jobs.progress import Progress

    with explained(err):
        home, options = place_of(lake), Options(kept, dry_run)
        with _engine("delta-rs" if dry_run else engine) as chosen:
            done = carry_out(declaration, home, options, Progress(err), chosen)
    if not done:
        err.print(f"{home.uri}: has no table of {declaration.feed.feed}", style="red")
        raise typer.Exit(FAILED)
    found = [finding for one in done for finding in one.findings]
    if as_json:
        document = {
            "feed": declaration.feed.feed,
            "engine": engine,
            "retention_hours": kept.total_seconds() / 3600,
            "dry_run": dry_run,
            "tables": [asdict(one) for one in done],
        }
        print(json.dumps(document, default=str))
    else:
        show_maintain.maintained(out, done, dry_run)
    sys.exit(FAILED if found else DONE)


def _retention(text: str) -> timedelta:
    from datetime import timedelta

    kept = seconds_of("--retention", text)
    if kept < timedelta(hours=1):
        bad_usage("--retention", text, "is too short: files are committed meanwhile; at least 1h")
    return kept


@contextmanager
def _engine(name: EngineName) -> Iterator[Engine]:
    """Give the engine of a name; Spark lives for as long as it is used."""
    from isopach.jobs.maintaining import DeltaRs

    if name == "delta-rs":
        yield DeltaRs()
        return
    from isopach.jobs.maintaining_on_spark import on_spark

    with on_spark() as engine:
        yield engine
