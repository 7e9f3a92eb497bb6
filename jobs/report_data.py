"""The report of a run: all that its page and its summary say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import polars as pl

from isopach.feeds.load import Declaration
from isopach.jobs import report_parts as parts
from isopach.jobs.report_history import BACK, run_times, shares, window_figures
from isopach.jobs.report_runs import NoReportError, day_of_run, masks_of, parameters_of_run
from isopach.jobs.report_sites import HELD, MISSING, PUBLISHED, site_map
from isopach.jobs.three_way import FIGURES, three_way
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.ledger import RUNNING, Run
from isopach.lake.places import Place

Verdict = Literal["published", "held", "failed", "running"]


@dataclass(frozen=True)
class Headline:
    """How a run ended, in a word and in a sentence."""

    verdict: Verdict
    title: str
    sentence: str


@dataclass(frozen=True)
class Figures:
    """A run in numbers; rows are those that it read."""

    sites: int
    published: int
    held: int
    missing: int
    read: int
    accepted: int
    rejected: int
    late: int
    duplicate: int
    compared: int
    differing: int
    differences: int
    seconds: float | None


@dataclass(frozen=True)
class Report:
    """What is known of one run over a business date; frames are described where they are made."""

    run: Run
    day: date
    headline: Headline
    figures: Figures
    sites: pl.DataFrame
    unbalanced: pl.DataFrame
    balanced: int
    causes: pl.DataFrame
    examples: pl.DataFrame
    gates: pl.DataFrame
    failed_windows: pl.DataFrame
    reasons: pl.DataFrame
    reason_examples: pl.DataFrame
    undeclared: pl.DataFrame
    shares: pl.DataFrame
    times: pl.DataFrame
    slowest: list[dict[str, Any]]
    read: pl.DataFrame
    written: pl.DataFrame
    source: str


def report_of(lake: Place, run: Run, declaration: Declaration | None) -> Report:
    """Gather the report of a run; raises NoReportError.

    Args:
        declaration: the feed as it is declared now: its sites' names and regions.
    """
    day = day_of_run(run)
    if day is None:
        raise NoReportError(f"run {run.run}: the ledger does not say of which date it is")
    here = (pl.col("feed") == run.feed) & (pl.col("business_date") == day)
    windows = scan(lake, tables.WINDOWS).filter(here).collect()
    counts = scan(lake, tables.COUNTS).filter(here, run=run.run).collect()
    gates, failed = parts.gates(lake, run)
    sites = site_map(run, day, declaration, counts, windows, parts.warned_sites(failed))
    causes, examples = parts.differences(lake, run)
    figures = _figures(run, sites, counts, causes, parts.differing_windows(lake, run))
    sums = three_way(lake, run.feed, day, None)
    given = parameters_of_run(run)
    history = window_figures(lake, run.feed, day - timedelta(BACK - 1), day)
    return Report(
        run=run,
        day=day,
        headline=headline(run, figures),
        figures=figures,
        sites=sites,
        unbalanced=sums.filter(~pl.col("adds_up")),
        balanced=sums.filter("adds_up").height,
        causes=causes,
        examples=examples,
        gates=gates,
        failed_windows=failed,
        reasons=parts.reasons(lake, run, day),
        reason_examples=parts.reason_examples(lake, run, day, masks_of(run, declaration)),
        undeclared=parts.undeclared(counts),
        shares=shares(history),
        times=run_times(lake, run.feed, run.run),
        slowest=json.loads(run.timings)["slowest"] if run.timings else [],
        read=counts.drop_nulls("delivery").sort("site").select(READ),
        written=parts.written(run),
        source=str(given.get("landing") or given.get("source") or "not recorded"),
    )


READ = ["site", "delivery", "arrived", "declared", "read", "bytes", "manifest"]


def _figures(
    run: Run, sites: pl.DataFrame, counts: pl.DataFrame, causes: pl.DataFrame, differing: int
) -> Figures:
    states = dict(sites["state"].value_counts().iter_rows())
    judged = {name: states.get(name, 0) for name in (*PUBLISHED, HELD, MISSING)}
    ended = None if run.ended is None else (run.ended - run.started).total_seconds()
    return Figures(
        sites=sum(judged.values()),
        published=sum(judged[name] for name in PUBLISHED),
        held=judged[HELD],
        missing=judged[MISSING],
        **{name: int(counts[name].sum()) for name in FIGURES},
        compared=counts["streamed"].count(),
        differing=differing,
        differences=int(causes["records"].sum()),
        seconds=ended,
    )


def headline(run: Run, figures: Figures) -> Headline:
    """Say how a run ended."""
    what = f"The {'night' if run.cadence == 'nightly' else run.cadence}"
    if run.outcome == RUNNING:
        return Headline("running", "Running", f"{what} has not ended yet.")
    if run.outcome == "killed" or run.outcome.startswith("failed"):
        why = run.outcome.removeprefix("failed: ")
        return Headline("failed", "Failed", f"{what} published nothing: {why}")
    waiting = figures.held + figures.missing
    said = f"{figures.published:,} of {figures.sites:,} sites settled"
    parts = [f"{figures.held:,} held"] if figures.held else []
    parts += [f"{figures.missing:,} missing"] if figures.missing else []
    rows = f"{figures.accepted:,} of {figures.read:,} rows read were accepted"
    both = ""
    if figures.compared:
        same = figures.compared - figures.differing
        both = f"; batch and stream agree in {same:,} of {figures.compared:,} windows"
    sentence = f"{', '.join([said, *parts])}; {rows}{both}."
    if waiting:
        return Headline("held", "Published, some held", sentence)
    return Headline("published", "Published", sentence)
