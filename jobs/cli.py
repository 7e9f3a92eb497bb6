"""The command line."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from isopach.jobs import reconcile_command, replay_command, stream_command
from isopach.jobs.arguments import (
    Day,
    FeedName,
    Json,
    Lake,
    Sites,
    bytes_of,
    check_runner,
    check_sites,
    day_of,
    days_of,
    declaration_of,
    err,
    out,
    place_of,
)
from isopach.jobs.failures import DONE, FAILED, HELD, STOPPED, explained

app = typer.Typer(
    name="isopach",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 done, 1 failed, 2 bad usage or declaration, 3 done but some is held.",
)
app.command(epilog=stream_command.EXAMPLES)(stream_command.stream)
app.command(epilog=reconcile_command.EXAMPLES)(reconcile_command.reconcile)
app.command(epilog=replay_command.EXAMPLES)(replay_command.replay)


def main() -> None:
    """Run the command line; every expected failure ends in one message and its exit code."""
    try:
        app()
    except SystemExit as end:
        if end.code == STOPPED:
            err.print(
                "stopped; nothing half done is visible, and the same command starts over",
                style="yellow",
            )
        raise


@app.callback()
def common(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the engine's own log.")
    ] = False,
) -> None:
    """Consolidate what many sites deliver, by night and by day, into Delta tables."""
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR)
    if not verbose:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
        logging.getLogger("isopach").setLevel(logging.WARNING)
        logging.getLogger("isopach.kafka").setLevel(logging.ERROR)  # each refused connection


@app.command(epilog="isopach check sales\n\nisopach check feeds/mine.yaml --json")
def check(feed: FeedName, as_json: Json = False) -> None:
    """Validate a feed, its sites and its rules, and print what would run."""
    from isopach.jobs import show

    declaration = declaration_of(feed)
    if as_json:
        print(json.dumps(show.declaration_data(declaration), default=str))
    else:
        show.declaration(out, declaration)


@app.command(
    epilog="isopach nightly sales --landing landing --date 2026-03-08 --lake lake\n\n"
    "isopach nightly sales --landing landing --date 2026-03-08 --lake lake --site S001\n\n"
    "isopach nightly flights --landing s3://sent --date 2013-01-01..2013-01-31 --lake s3://lake"
)
def nightly(
    feed: FeedName,
    landing: Annotated[str, typer.Option(help="The landing zone's root: folder, s3://… or gs://…")],
    lake: Lake,
    day: Annotated[
        str, typer.Option("--date", metavar="DATE", help="YYYY-MM-DD, or FROM..TO, both included.")
    ],
    site: Sites = None,
    runner: Annotated[str, typer.Option(help="Beam runner.")] = "FnApiRunner",
    memory: Annotated[
        str, typer.Option(help="What the process may take, as in 2GB; larger nights run in waves.")
    ] = "2.5GB",
    as_json: Json = False,
) -> None:
    """Stage, audit and publish the deliveries of a business date (or of several)."""
    days, budget = days_of(day), bytes_of(memory)
    declaration = declaration_of(feed)
    check_sites(site, declaration)
    check_runner(runner)
    from isopach.jobs import show
    from isopach.jobs.nightly import Options, run_night
    from isopach.jobs.progress import Progress

    options = Options(only=frozenset(site) if site else None, runner=runner, memory=budget)
    held, documents = False, []
    try:
        with explained(err):
            landed, home = place_of(landing), place_of(lake)
            for one in days:
                summary = run_night(declaration, landed, home, one, options, Progress(err))
                held = held or bool(summary.held)
                document = {**asdict(summary), "rows_per_second": summary.rows_per_second}
                documents.append(document)
                if not as_json:
                    show.night(out, summary)
    finally:  # also those before one that failed
        if as_json and documents:
            print(json.dumps(documents[0] if len(days) == 1 else {"nights": documents}))
    sys.exit(HELD if held else DONE)


@app.command(epilog="isopach counts sales --lake lake --date 2026-03-08")
def counts(
    feed: FeedName, lake: Lake, day: Day = None, site: Sites = None, as_json: Json = False
) -> None:
    """Show what was read and became of it, per site, and the windows' states."""
    from isopach.jobs import show
    from isopach.jobs.queries import window_counts

    declaration = declaration_of(feed)
    with explained(err):
        rows = window_counts(place_of(lake), declaration.feed.feed, day_of(day), site)
    _table("counts", rows, as_json) if as_json else show.counts(out, rows)


@app.command(
    epilog="isopach quarantine sales --lake lake --reason malformed --limit 5\n\n"
    "isopach quarantine sales --lake lake --replayed"
)
def quarantine(
    feed: FeedName,
    lake: Lake,
    day: Day = None,
    site: Sites = None,
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    replayed: Annotated[
        bool, typer.Option(help="Instead, rows that replays have put into records since.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="Rows to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show rows that are set aside: how many for which reason, and the rows themselves."""
    from isopach.jobs import show
    from isopach.jobs.queries import Chosen, quarantined_reasons, quarantined_rows

    declaration = declaration_of(feed)
    with explained(err):
        home = place_of(lake)
        chosen = Chosen(day_of(day), tuple(site or ()), reason, replayed)
        reasons = quarantined_reasons(home, declaration.feed.feed, chosen)
        rows = quarantined_rows(home, declaration.feed, chosen, limit)
    if as_json:
        print(json.dumps({"reasons": reasons.to_dicts(), "rows": rows.to_dicts()}, default=str))
    else:
        show.quarantine(out, reasons, rows)


@app.command(epilog="isopach verify sales --lake lake --date 2026-03-08")
def verify(feed: FeedName, lake: Lake, day: Day = None, as_json: Json = False) -> None:
    """Prove from the tables alone that every row read is there exactly once."""
    from isopach.jobs import show
    from isopach.jobs.nightly import feed_tables
    from isopach.pipelines.verify import verify as prove

    declaration = declaration_of(feed)
    with explained(err):
        proof = prove(place_of(lake), declaration.feed, feed_tables(declaration), day_of(day))
    if as_json:
        print(json.dumps(asdict(proof), default=str))
    else:
        show.proof(out, proof)
    sys.exit(FAILED if proof.findings or not proof.windows else DONE)


@app.command(epilog="isopach demo --to demo --rows 200000")
def demo(
    to: Annotated[Path, typer.Option(help="Folder for landing zone and lake; made anew.")] = Path(
        "demo"
    ),
    rows: Annotated[int, typer.Option(min=2000, help="Rows a night.")] = 200_000,
    as_json: Json = False,
) -> None:
    """Run three nights of 200 stores with known faults, and prove the result."""
    from isopach.jobs.demo import run_demo

    with explained(err):
        document = run_demo(to, rows, out if not as_json else err, err)
    if as_json:
        print(json.dumps(document, default=str))


def _table(name: str, rows: Any, as_json: bool) -> None:
    print(json.dumps({name: rows.to_dicts()}, default=str))


if __name__ == "__main__":
    main()
