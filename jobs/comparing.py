"""Compare a date's deliveries with its stream, and leave everything as it is."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import polars as pl

from isopach.feeds.load import Declaration
from isopach.jobs.endings import abandon, delete_staged
from isopach.jobs.gating import gated
from isopach.jobs.inputs import Input
from isopach.jobs.nightly import Options, feed_tables, parameters_of, plan_night, stage
from isopach.jobs.progress import Progress
from isopach.jobs.reconciling import Night, reconcile
from isopach.lake.ledger import new_run, record_run
from isopach.lake.places import Place
from isopach.lake.publish import differences_of
from isopach.pipelines.staging import Target


class Comparison(NamedTuple):
    """How many windows were compared, what differs (as in `ledger/differences`), and seconds."""

    compared: int
    differences: pl.DataFrame
    seconds: dict[str, float]


def compare_day(
    declaration: Declaration,
    source: Input,
    lake: Place,
    day: date,
    options: Options,
    show: Progress,
) -> Comparison:
    """Stage a date's deliveries, or events, compare them with the stream, and delete them.

    Windows that would be held, or that a night has settled, are left out. Only the ledger of runs
    is written to. Raises LandingError, LogError.
    """
    feed, to = declaration.feed, feed_tables(declaration)
    planned = plan_night(declaration, source, lake, day, options)
    parameters = parameters_of(feed, source, day, options)
    run = new_run(feed.feed, "reconcile", "batch", options.runner, parameters)
    target = Target(lake, feed, run.run)
    phases: dict[str, float] = {}
    try:
        record_run(lake, run)
        staged = stage(planned, target, options, show, phases)
        verdicts = gated(target, staged, planned.audit(staged)[0]).verdicts
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
