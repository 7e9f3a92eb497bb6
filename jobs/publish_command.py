"""The command `isopach publish`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from isopach.jobs.arguments import (
    FeedName,
    Json,
    Lake,
    Sites,
    bad_usage,
    check_runner,
    declaration_of,
    err,
    out,
    place_of,
)
from isopach.jobs.failures import DONE, HELD, explained

EXAMPLES = (
    "isopach publish sales --lake lake --run 20260309T020000123456-a1b2c3\n\n"
    "isopach publish sales --lake lake --run 20260309T020000123456-a1b2c3 --approve --site S001"
)


def publish(
    feed: FeedName,
    lake: Lake,
    run: Annotated[str, typer.Option("--run", help="The run that holds windows.")],
    approve: Annotated[
        bool, typer.Option("--approve", help="Publish them; the ledger records who said so.")
    ] = False,
    site: Sites = None,
    runner: Annotated[str, typer.Option(help="Beam runner, with --approve.")] = "FnApiRunner",
    as_json: Json = False,
) -> None:
    """Show which windows of a staged run wait and why, or publish them all the same.

    The exit code is 3 where some still wait.
    """
    declaration = declaration_of(feed)
    check_runner(runner)
    from isopach.jobs import show
    from isopach.jobs.approving import Approved, runs_that_wait, waiting_windows
    from isopach.jobs.approving import approve as carry_out
    from isopach.jobs.endings import finish_killed, finish_replays
    from isopach.jobs.nightly import Options, feed_tables
    from isopach.jobs.progress import Progress
    from isopach.jobs.runners import started

    with explained(err):
        home = place_of(lake)
        if approve:
            finish_killed(home, feed_tables(declaration))
            finish_replays(declaration, home, feed_tables(declaration))
        runs = runs_that_wait(home, declaration.feed.feed)
        if run not in runs:
            known = ", ".join(runs[:5]) or "none"
            bad_usage(
                "--run", run, f"holds no window of {declaration.feed.feed}; runs that do: {known}"
            )
        if approve:
            with started(Options(runner=runner)) as options:
                done = carry_out(declaration, home, run, site, options, Progress(err))
        else:
            done = Approved(run, "", None, [], waiting_windows(declaration, home, run, site))
    if as_json:
        print(json.dumps(asdict(done), default=str))
    else:
        show.approved(out, done)
    sys.exit(HELD if done.waiting else DONE)
