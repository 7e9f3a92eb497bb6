"""The command line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from isopach.jobs import (
    evidence_command,
    export_command,
    gate_command,
    infra_command,
    maintain_command,
    nightly_command,
    publish_command,
    reconcile_command,
    repair_command,
    replay_command,
    report_command,
    status_command,
    stream_command,
    submit_command,
    suite_command,
)
from isopach.jobs.arguments import (
    Day,
    FeedName,
    Json,
    Lake,
    Sites,
    day_of,
    declaration_of,
    err,
    out,
    place_of,
    seconds_of,
)
from isopach.jobs.failures import STOPPED, explained
from isopach.jobs.memory import keep_freed

app = typer.Typer(
    name="isopach",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 done, 1 failed, 2 bad usage or declaration, 3 done but some is held.",
)
app.command(epilog=nightly_command.EXAMPLES)(nightly_command.nightly)
app.command(epilog=stream_command.EXAMPLES)(stream_command.stream)
app.command(epilog=reconcile_command.EXAMPLES)(reconcile_command.reconcile)
app.command(epilog=publish_command.EXAMPLES)(publish_command.publish)
app.command(epilog=repair_command.EXAMPLES)(repair_command.repair)
app.command(epilog=suite_command.EXAMPLES)(suite_command.suite)
app.command(epilog=evidence_command.EXAMPLES)(evidence_command.evidence)
app.command(epilog=evidence_command.VERIFY_EXAMPLES)(evidence_command.verify)
app.command(epilog=gate_command.EXAMPLES)(gate_command.gate)
app.command(epilog=export_command.EXAMPLES)(export_command.export)
app.command(epilog=status_command.EXAMPLES)(status_command.status)
app.command(epilog=maintain_command.EXAMPLES)(maintain_command.maintain)
app.command(epilog=replay_command.EXAMPLES)(replay_command.replay)
app.command(epilog=report_command.EXAMPLES)(report_command.report)
app.add_typer(submit_command.app, name="submit")
app.add_typer(infra_command.app, name="infra")


def main() -> None:
    """Run the command line; every expected failure ends in one message and its exit code."""
    keep_freed()
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
    """Validate a feed, its sites and its suites, and print what would run.

    Critical expectations about rows are rules as well: rows that do not meet them are set aside.
    Those that cannot be such rules are named, with the reason, and looked at by the gate alone.
    """
    from isopach.expectations.checking import check_suites
    from isopach.jobs import show_declaration as show

    declaration = declaration_of(feed)
    with explained(err):
        check_suites(declaration)
    if as_json:
        print(json.dumps(show.declaration_data(declaration), default=str))
    else:
        show.declaration(out, declaration)


@app.command(
    epilog="isopach counts sales --lake lake --date 2026-03-08\n\n"
    "isopach counts sales --lake lake --date 2026-03-08 --site S001 --json"
)
def counts(
    feed: FeedName, lake: Lake, day: Day = None, site: Sites = None, as_json: Json = False
) -> None:
    """Show what sites declared, what batch and stream read and became of it, and if it adds up.

    One row for each site and business date. A row that does not add up says by how much, and which
    records, by the differences that nights found, account for it.
    """
    from isopach.jobs import show_windows
    from isopach.jobs.queries import window_counts
    from isopach.jobs.three_way import three_way

    declaration = declaration_of(feed)
    with explained(err):
        home, name = place_of(lake), declaration.feed.feed
        rows = three_way(home, name, day_of(day), site)
        if as_json:
            by_mode = window_counts(home, name, day_of(day), site).to_dicts()
            document = {"counts": by_mode, "three_way": rows.to_dicts()}
            print(json.dumps(document, default=str))
        else:
            show_windows.counts(out, rows)


@app.command(
    epilog="isopach quarantine sales --lake lake --reason malformed --limit 5\n\n"
    "isopach quarantine sales --lake lake --replayed\n\n"
    "isopach quarantine sales --lake lake --forget 90d"
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
    forget: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="First empty the original rows, and keys, of runs older than this, as in 90d; "
            "reasons and positions stay, and nothing of them can be replayed.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show rows that are set aside: how many for which reason, and the rows themselves."""
    age = None if forget is None else seconds_of("--forget", forget)
    from isopach.jobs import show
    from isopach.jobs.nightly import feed_tables
    from isopach.jobs.queries import Chosen, quarantined_reasons, quarantined_rows
    from isopach.lake.forgetting import forget_texts

    declaration = declaration_of(feed)
    with explained(err):
        home = place_of(lake)
        if age is not None:
            table = feed_tables(declaration).quarantine
            emptied = forget_texts(home, table, datetime.now(UTC) - age)
            err.print(f"{emptied:,} rows have been emptied", highlight=False)
        chosen = Chosen(day_of(day), tuple(site or ()), reason, replayed)
        reasons = quarantined_reasons(home, declaration.feed.feed, chosen)
        rows = quarantined_rows(home, declaration.feed, chosen, limit)
    if as_json:
        print(json.dumps({"reasons": reasons.to_dicts(), "rows": rows.to_dicts()}, default=str))
    else:
        show.quarantine(out, reasons, rows)


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


if __name__ == "__main__":
    main()
