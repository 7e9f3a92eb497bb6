"""Reconcile a night with its stream: which windows differ, in which records, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import polars as pl

from isopach.feeds.feed import Feed
from isopach.feeds.load import Declaration
from isopach.jobs.runners import pipeline_on, run_to_end
from isopach.lake.commits import Snapshot, newest
from isopach.lake.landings import NUMBER
from isopach.lake.places import Place
from isopach.lake.publish import DIFFERENCES
from isopach.lake.staged import Staged
from isopach.lake.tables import FeedTables
from isopach.lake.verdicts import Verdict
from isopach.lake.windows import windows_of
from isopach.pipelines.causes import LOST, UNEXPLAINED, explained
from isopach.pipelines.provisional import stream_counts
from isopach.pipelines.reconcile import (
    STREAM,
    Compared,
    build,
    forget_found,
    found_files,
    parts_of,
)
from isopach.pipelines.seen import look
from isopach.pipelines.staging import Target
from isopach.pipelines.verify_stream import BEHIND, verify_stream
from isopach.transforms.compare import DIFFERENCE, EXTRA, MISSING
from isopach.transforms.counts import Tally, Window
from isopach.transforms.salt import plan_salts


@dataclass(frozen=True)
class Reconciled:
    """What came of a comparison: windows compared, and records that differ by cause.

    `found` has how many records of a window differ, by kind and by cause; `streamed` how many rows
    the stream had counted in each window that was compared.
    """

    compared: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    found: Mapping[Window, Counter[str]] = field(default_factory=dict)
    streamed: Mapping[Window, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Night:
    """What a night has staged for some windows, and how its pipelines are run."""

    declaration: Declaration
    tables: FeedTables
    target: Target
    staged: Staged
    windows: Sequence[Window]
    runner: str = "FnApiRunner"
    beam: tuple[str, ...] = ()


def reconcile(night: Night) -> Reconciled:
    """Compare what a night has staged with what a stream has of the same windows.

    Counts and checksums decide first, and rows are read only of windows where these differ, or
    where records have not as many rows as the stream counted. What differs is written to the
    night's staging folder. Windows that a night has settled before are left out: their stream's
    rows are gone. Nothing is compared where no stream ever landed.
    """
    forget_found(night.target.folder)
    lake, feed = night.target.lake, night.declaration.feed
    records = newest(lake, night.tables.records)
    if records is None or not records.fence(NUMBER):
        return Reconciled()
    windows = _unsettled(lake, feed, night.windows)
    ours = stream_counts(lake, feed.feed, (day for _, day in windows))
    streamed = {window: ours.get(window, Tally()).accepted for window in windows}
    findings = [
        finding
        for day in _days(windows)
        for finding in verify_stream(lake, feed, night.tables, day)[1]
    ]
    late = any(finding.check == BEHIND for finding in findings)
    wrong = {(finding.site, finding.business_date) for finding in findings}
    differing = [
        window
        for window in windows
        if late or feed.reconcile.ignore or window in wrong or not _same(window, ours, night)
    ]
    if not differing:
        return Reconciled(len(windows), streamed=streamed)
    rows: Counter[str] = Counter()
    for window in differing:
        staged = night.staged.counts.get(window, {}).get("accepted", 0)
        rows[window[0]] += staged + ours.get(window, Tally()).accepted
    found = compare_rows(night, records, differing, rows, STREAM)
    sources = found["batch_source"].drop_nulls().unique()
    aside = night.staged.files.get("quarantine", [])
    seen = look(lake, feed, aside, _days(differing), findings, sources)
    reasoned = explained(found, seen, feed)
    write_differences(night.target.folder, reasoned)
    return _counted(reasoned, streamed)


def compare_rows(
    night: Night, records: Snapshot, windows: Sequence[Window], rows: Counter[str], mode: str
) -> pl.DataFrame:
    """Compare what is staged with what records have of a mode; return the records that differ.

    Args:
        rows: of each site on both sides together, about.
    """
    feed, folder = night.declaration.feed, night.target.folder
    forget_found(folder)
    to = Compared(night.target.lake, feed, tuple(windows), folder, mode)
    plan = plan_salts(rows, 2 * feed.salting.target_rows)
    pipeline = pipeline_on(night.runner, night.beam, len(plan.rows))
    build(
        pipeline,
        parts=parts_of(records, night.staged.files.get("records", []), windows),
        to=to,
        plan=plan,
    )
    run_to_end(pipeline)
    parts = [pl.read_parquet(place.read_bytes()) for place in found_files(folder)]
    return pl.concat([pl.DataFrame(schema=DIFFERENCE), *parts])


def write_differences(folder: Place, rows: pl.DataFrame) -> None:
    """Write explained differences to a staging folder, from where they are published."""
    place = folder / DIFFERENCES
    with place.filesystem.open_output_stream(place.path) as sink:
        rows.drop("stream_run", "batch_run").write_parquet(sink)


def _unsettled(lake: Place, feed: Feed, windows: Sequence[Window]) -> list[Window]:
    known = windows_of(lake, feed.feed, {day for _, day in windows})
    settled = set(
        known.filter(pl.col("settled_by").is_not_null()).select("site", "business_date").rows()
    )
    return [window for window in windows if window not in settled]


def _days(windows: Sequence[Window]) -> list[date]:
    return sorted({day for _, day in windows})


def _same(window: Window, ours: Mapping[Any, Tally], night: Night) -> bool:
    """Tell whether both sides have as many rows of a window, and the same checksums."""
    tally = ours.get(window, Tally())
    counts = night.staged.counts.get(window, {})
    batch = tuple(counts.get(name, 0) for name in ("accepted", "checksum_a", "checksum_b"))
    return (tally.accepted, tally.checksum_a, tally.checksum_b) == batch


def _counted(found: pl.DataFrame, streamed: Mapping[Window, int]) -> Reconciled:
    causes = dict(found["cause"].value_counts(sort=True).iter_rows())
    return Reconciled(len(streamed), causes, counted(found), streamed)


def counted(found: pl.DataFrame) -> dict[Window, Counter[str]]:
    """Return how many records of each window differ, by kind and by cause."""
    windows: dict[Window, Counter[str]] = {}
    sums = found.group_by("site", "business_date", "kind", "cause").len()
    for site, day, kind, cause, rows in sums.sort("business_date", "site").iter_rows():
        windows.setdefault((site, day), Counter()).update({kind: rows, cause: rows})
    return windows


def breaches(found: pl.DataFrame, feed: Feed) -> list[dict[str, str]]:
    """Return windows that differ by more than their feed allows, and how."""
    return [
        {"site": site, "business_date": day.isoformat(), "reason": reason}
        for (site, day), figures in counted(found).items()
        if (reason := breach(figures, feed))
    ]


def breach(figures: Counter[str], feed: Feed) -> str | None:
    """Return how a window differs by more than its feed allows, if it does."""
    allowed = feed.reconcile
    reasons = [
        f"{figures[kind]:,} records {kind}, {most:,} allowed"
        for kind, most in ((MISSING, allowed.max_missing), (EXTRA, allowed.max_extra))
        if figures[kind] > most
    ]
    reasons += [f"{figures[cause]:,} {cause}" for cause in (LOST, UNEXPLAINED) if figures[cause]]
    return f"batch and stream differ: {'; '.join(reasons)}" if reasons else None


def to_hold(figures: Counter[str], feed: Feed) -> str | None:
    """Return why a window that differs must wait, by what its feed says."""
    policy = feed.reconcile
    reason = breach(figures, feed) if policy.breach == "hold" else None
    if reason is None and policy.stream_only == "hold" and figures[EXTRA]:
        return f"only the stream has {figures[EXTRA]:,} records"
    return reason


def judged(verdicts: Sequence[Verdict], reconciled: Reconciled, feed: Feed) -> list[Verdict]:
    """Return verdicts that say what was compared, and hold windows as their feed says."""
    held = {window: to_hold(figures, feed) for window, figures in reconciled.found.items()}
    return [
        replace(
            verdict,
            held=verdict.held or held.get((verdict.site, verdict.day)),
            streamed=reconciled.streamed.get((verdict.site, verdict.day)),
        )
        for verdict in verdicts
    ]
