"""Run a night: plan, stage, audit, publish."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from time import perf_counter
from typing import Any

import polars as pl

from isopach.feeds.feed import Feed
from isopach.feeds.load import Declaration
from isopach.feeds.rules import declared_rules
from isopach.jobs.audits import audit
from isopach.jobs.endings import abandon, finish, finish_killed, finish_replays
from isopach.jobs.memory import reuse_freed_memory
from isopach.jobs.progress import Progress
from isopach.jobs.reconciling import Night, judged, reconcile
from isopach.jobs.runners import EMBEDDED, pipeline_on
from isopach.lake import tables
from isopach.lake.commits import check_columns, create_or_open, scan
from isopach.lake.ledger import new_run, record_run
from isopach.lake.places import Place
from isopach.lake.publish import FeedTables, close_to_streams, publish, write_verdicts
from isopach.lake.staged import Staged
from isopach.pipelines.deliveries import find_deliveries
from isopach.pipelines.joining import join_waves
from isopach.pipelines.nightly import build
from isopach.pipelines.pieces import Piece, plan_pieces
from isopach.pipelines.staging import Target, totals_table
from isopach.pipelines.waves import plan_waves
from isopach.transforms.salt import plan_salts


@dataclass(frozen=True)
class Options:
    """How a night is run; `memory` is in bytes, and `beam` are options for Beam's runner."""

    only: frozenset[str] | None = None
    runner: str = "FnApiRunner"
    memory: int | None = 5 << 29  # 2.5 GiB
    beam: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """What came of a night.

    `compared` windows were held against a stream's, `differing` ones differ in the records that
    are counted by cause in `causes`.
    """

    run: str
    feed: str
    date: str
    outcome: str
    sites: int
    settled: int
    read: int
    accepted: int
    rejected: int
    late: int
    duplicate: int
    held: list[dict[str, str]]
    awaited: list[str]
    extra: list[dict[str, str | int]]
    waves: int
    seconds: float
    phases: dict[str, float] = field(default_factory=dict)
    version: int | None = None
    compared: int = 0
    differing: int = 0
    causes: dict[str, int] = field(default_factory=dict)

    @property
    def rows_per_second(self) -> int:
        return int(self.read / self.seconds) if self.seconds else 0


def feed_tables(declaration: Declaration) -> FeedTables:
    """Return the tables of a feed."""
    feed = declaration.feed
    return FeedTables(
        feed.feed,
        tables.records(feed.feed, feed.payload),
        tables.quarantine(feed.feed),
        {name: totals_table(feed, name) for name in feed.totals},
    )


def parameters_of(feed: Feed, landing: Place, day: date, options: Options) -> dict[str, Any]:
    """Return what a run over deliveries is recorded with."""
    return {
        "feed": json.loads(feed.model_dump_json()),
        "landing": landing.uri,
        "date": day,
        "sites": sorted(options.only or ()),
    }


def run_night(
    declaration: Declaration,
    landing: Place,
    lake: Place,
    day: date,
    options: Options,
    show: Progress,
) -> Summary:
    """Consolidate a business date's deliveries: stage, audit, publish.

    Raises LandingError, SchemaChangeError; whatever fails before publishing leaves the tables as
    they were, and the run's own files are deleted.
    """
    started = perf_counter()
    feed = declaration.feed
    to = feed_tables(declaration)
    deliveries = find_deliveries(landing, feed.feed, day, options.only)
    finish_killed(lake, to)
    finish_replays(declaration, lake, to)
    parameters = parameters_of(feed, landing, day, options)
    run = new_run(feed.feed, "nightly", "batch", options.runner, parameters)
    target = Target(lake, feed, run.run)
    for table in to.all:
        check_columns(lake, table)
    for table in to.all:
        create_or_open(lake, table)
    phases: dict[str, float] = {}
    try:
        record_run(lake, run)
        with show.phase("Plan", phases):
            usual = usual_rows(lake, feed.feed, day)
            pieces = plan_pieces(landing, feed.feed, day, deliveries, usual)
        staged, waves = stage(declaration, landing, target, pieces, options, show, phases)
        with show.phase("Audit", phases):
            verdicts, awaited = audit(declaration, deliveries, staged, day, options.only, lake)
        with show.phase("Reconcile", phases):
            passed = [(verdict.site, verdict.day) for verdict in verdicts if not verdict.held]
            close_to_streams(lake, to, run.run, passed)
            sides = Night(declaration, to, target, staged, passed, options.runner, options.beam)
            compared = reconcile(sides)
            verdicts = judged(verdicts, compared, feed)
        with show.phase("Publish", phases):
            write_verdicts(target.folder, verdicts)
            published = publish(lake, to, run.run, target.folder)
    except BaseException as error:
        abandon(lake, to, run, target, error)
        raise
    held = [{"site": v.site, "reason": v.held} for v in verdicts if v.held]
    outcome = "held" if held else "published"
    finish(lake, to, run, target, outcome)
    totals = {
        name: sum(tally[name] for tally in staged.counts.values())
        for name in ("read", "accepted", "rejected", "late", "duplicate")
    }
    return Summary(
        run=run.run,
        feed=feed.feed,
        date=day.isoformat(),
        outcome=outcome,
        sites=len(verdicts),
        settled=len(verdicts) - len(held),
        **totals,
        held=held,
        awaited=awaited,
        extra=[
            {"site": site, "column": column, "rows": rows}
            for (site, _), columns in sorted(staged.extra.items())
            for column, rows in columns.items()
        ],
        waves=waves,
        seconds=round(perf_counter() - started, 3),
        phases=phases,
        version=published,
        compared=compared.compared,
        differing=len(compared.found),
        causes=compared.causes,
    )


def stage(
    declaration: Declaration,
    landing: Place,
    target: Target,
    pieces: list[Piece],
    options: Options,
    show: Progress,
    phases: dict[str, float],
) -> tuple[Staged, int]:
    """Run the waves of a night; return what they staged, and how many there were."""
    feed = declaration.feed
    rows: dict[str, int] = {}
    for piece in pieces:
        rows[piece.site] = rows.get(piece.site, 0) + piece.rows
    plan = plan_salts(rows, feed.salting.target_rows)
    embedded = options.runner in EMBEDDED
    if embedded:
        reuse_freed_memory()
    waves = plan_waves(plan, pieces, options.memory if embedded else None) if pieces else []
    to_read = sum(piece.rows for wave in waves for piece in wave.pieces)
    with show.phase("Stage", phases, rows=to_read + sum(plan.rows)):
        for wave in waves:
            pipeline = pipeline_on(options.runner, options.beam)
            build(
                pipeline,
                feed=feed,
                sites=declaration.sites,
                rules=declared_rules(feed),
                landing=landing,
                target=target,
                plan=plan,
                wave=wave,
            )
            pipeline.run().wait_until_finish()
        return join_waves(target, waves), len(waves)


def usual_rows(lake: Place, feed: str, day: date) -> dict[str, int]:
    """Return each site's rows on the last night before a date, for planning."""
    rows = (
        scan(lake, tables.COUNTS)
        .filter(
            (pl.col("feed") == feed)
            & (pl.col("mode") == "batch")
            & pl.col("replay_of").is_null()
            & pl.col("business_date").is_between(day - timedelta(28), day)
        )
        .sort("business_date", "run")
        .group_by("site", maintain_order=True)
        .agg(pl.col("read").last())
        .collect()
    )
    return dict(rows.iter_rows())
