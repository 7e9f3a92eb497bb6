"""Run a night: plan, stage, audit, publish."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from typing import Any

import polars as pl

from isopach.expectations.checking import check_suites
from isopach.feeds.feed import Feed
from isopach.feeds.load import Declaration
from isopach.jobs.endings import abandon, finish, finish_killed, finish_replays, versions
from isopach.jobs.gating import gated
from isopach.jobs.inputs import Input, Planned, Scope
from isopach.jobs.keeping import with_kept
from isopach.jobs.memory import reuse_freed_memory
from isopach.jobs.progress import Progress
from isopach.jobs.reconciling import Night, judged, reconcile
from isopach.jobs.runners import EMBEDDED
from isopach.lake import tables
from isopach.lake.commits import check_columns, create_or_open, scan
from isopach.lake.forgetting import forget_texts
from isopach.lake.ledger import new_run, record_run
from isopach.lake.places import Place
from isopach.lake.publish import publish
from isopach.lake.staged import Staged
from isopach.lake.tables import FeedTables
from isopach.lake.verdicts import write_verdicts
from isopach.lake.windows import close_to_streams
from isopach.pipelines.joining import join_waves
from isopach.pipelines.staging import Target, totals_table
from isopach.transforms.salt import SaltingPlan

SLOWEST = 5
"""Groups whose times are recorded with a run."""


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
    are counted by cause in `causes`. `gates` says how many expectations passed and failed.
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
    gates: dict[str, int] = field(default_factory=dict)
    warnings: list[dict[str, str | None]] = field(default_factory=list)

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


def parameters_of(feed: Feed, source: Input, day: date, options: Options) -> dict[str, Any]:
    """Return what a run over deliveries, or a log, is recorded with."""
    return {
        "feed": json.loads(feed.model_dump_json()),
        **source.parameters,
        "date": day,
        "sites": sorted(options.only or ()),
    }


def run_night(
    declaration: Declaration,
    source: Input,
    lake: Place,
    day: date,
    options: Options,
    show: Progress,
) -> Summary:
    """Consolidate a business date's deliveries, or its events: stage, audit, publish.

    Raises LandingError, LogError, SchemaChangeError; whatever fails before publishing leaves the
    tables as they were, and the run's own files are deleted.
    """
    started = perf_counter()
    feed = declaration.feed
    to = feed_tables(declaration)
    phases: dict[str, float] = {}
    with show.phase("Plan", phases):
        planned = plan_night(declaration, source, lake, day, options)
    finish_killed(lake, to)
    finish_replays(declaration, lake, to)
    parameters = parameters_of(feed, source, day, options)
    run = new_run(feed.feed, "nightly", "batch", options.runner, parameters)
    target = Target(lake, feed, run.run)
    for table in to.all:
        check_columns(lake, table)
    for table in to.all:
        create_or_open(lake, table)
    run = replace(run, versions_in=json.dumps(versions(lake, to)))
    try:
        record_run(lake, run)
        staged = stage(planned, target, options, show, phases)
        with show.phase("Audit", phases):
            verdicts, awaited = planned.audit(staged)
        with show.phase("Gate", phases):
            gates = gated(target, staged, verdicts)
            verdicts = gates.verdicts
        with show.phase("Reconcile", phases):
            passed = [(verdict.site, verdict.day) for verdict in verdicts if not verdict.held]
            close_to_streams(lake, to, run.run, passed)
            sides = Night(declaration, to, target, staged, passed, options.runner, options.beam)
            compared = reconcile(sides)
            staged = with_kept(sides, compared)
            verdicts = judged(verdicts, compared, feed)
        with show.phase("Publish", phases):
            write_verdicts(target.folder, verdicts)
            published = publish(lake, to, run.run, target.folder)
    except BaseException as error:
        abandon(lake, to, run, target, error)
        raise
    held = [{"site": v.site, "reason": v.held} for v in verdicts if v.held]
    outcome = "held" if held else "published"
    timings = json.dumps({"phases": phases, "slowest": slowest(staged, planned.salting)})
    finish(lake, to, replace(run, timings=timings), target, outcome)
    if feed.quarantine.keep is not None:
        forget_texts(lake, to.quarantine, datetime.now(UTC) - feed.quarantine.keep)
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
        waves=len(planned.waves),
        seconds=round(perf_counter() - started, 3),
        phases=phases,
        version=published,
        compared=compared.compared,
        differing=len(compared.found),
        causes=compared.causes,
        gates={"passed": gates.passed, "failed": gates.failed},
        warnings=gates.warnings,
    )


def slowest(staged: Staged, plan: SaltingPlan) -> list[dict[str, Any]]:
    """Return the groups that took longest to write, with the sites whose rows they held."""
    sites: dict[int, list[str]] = {}
    for site, share in plan.shares.items():
        for group in range(share.first, share.first + share.salts):
            sites.setdefault(group, []).append(site)
    longest = sorted(staged.took, key=lambda one: -one.seconds)[:SLOWEST]
    return [{**one._asdict(), "sites": sites.get(one.group, [])} for one in longest]


def plan_night(
    declaration: Declaration, source: Input, lake: Place, day: date, options: Options
) -> Planned:
    """Return what there is to stage, in waves that fit the memory of an embedded run.

    Raises DeclarationError for suites that nothing could be held against, LandingError, LogError.
    """
    check_suites(declaration)
    embedded = options.runner in EMBEDDED
    if embedded:
        reuse_freed_memory()
    scope = Scope(declaration, lake, day, options.only)
    usual = usual_rows(lake, declaration.feed.feed, day)
    return source.plan(scope, usual, options.memory if embedded else None)


def stage(
    planned: Planned, target: Target, options: Options, show: Progress, phases: dict[str, float]
) -> Staged:
    """Run the waves of a night, and return what they staged."""
    with show.phase("Stage", phases, rows=planned.rows + sum(planned.salting.rows)):
        for wave in planned.waves:
            planned.stage(wave, target, options.runner, options.beam)
        return join_waves(target, planned.waves, planned.salting)


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
