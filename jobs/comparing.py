"""Compare a date's deliveries with its stream, and leave everything as it is."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import polars as pl

from isopach.feeds.load import Declaration
from isopach.jobs.audits import audit
from isopach.jobs.endings import abandon, delete_staged
from isopach.jobs.nightly import Options, feed_tables, parameters_of, stage, usual_rows
from isopach.jobs.progress import Progress
from isopach.jobs.reconciling import Night, reconcile
from isopach.lake.ledger import new_run, record_run
from isopach.lake.places import Place
from isopach.lake.publish import differences_of
from isopach.pipelines.deliveries import find_deliveries
from isopach.pipelines.pieces import plan_pieces
from isopach.pipelines.staging import Target


class Comparison(NamedTuple):
    """How many windows were compared, what differs (as in `ledger/differences`), and seconds."""

    compared: int
    differences: pl.DataFrame
    seconds: dict[str, float]


def compare_day(
    declaration: Declaration,
    landing: Place,
    lake: Place,
    day: date,
    options: Options,
    show: Progress,
) -> Comparison:
    """Stage a date's deliveries, compare them with the stream as it stands, and delete them.

    Windows that would be held, or that a night has settled, are left out. Only the ledger of runs
    is written to. Raises LandingError.
    """
    feed, to = declaration.feed, feed_tables(declaration)
    deliveries = find_deliveries(landing, feed.feed, day, options.only)
    parameters = parameters_of(feed, landing, day, options)
    run = new_run(feed.feed, "reconcile", "batch", options.runner, parameters)
    target = Target(lake, feed, run.run)
    phases: dict[str, float] = {}
    try:
        record_run(lake, run)
        usual = usual_rows(lake, feed.feed, day)
        pieces = plan_pieces(landing, feed.feed, day, deliveries, usual)
        staged, _ = stage(declaration, landing, target, pieces, options, show, phases)
        verdicts, _ = audit(declaration, deliveries, staged, day, options.only, lake)
        windows = [(verdict.site, verdict.day) for verdict in verdicts if not verdict.held]
        with show.phase("Reconcile", phases):
            sides = Night(declaration, to, target, staged, windows, options.runner, options.beam)
            found = reconcile(sides)
        rows = differences_of(target.folder, run.run, feed.feed)
    except BaseException as error:
        abandon(lake, to, run, target, error)
        raise
    delete_staged(lake, to, run.run)
    record_run(lake, run.ended_as("compared", {}))
    return Comparison(found.compared, rows, phases)
