"""Repair: correct settled windows that differ from what is delivered, or in the log, by now.

A window that differs is replaced whole, in the one commit that publishes them all: rows of two
deliveries in one window could not be proved to add up. Windows that do not differ stay as they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date

import polars as pl

from isopach.feeds.load import Declaration
from isopach.jobs.endings import abandon, delete_unpublished, finish, finish_killed, finish_replays
from isopach.jobs.gating import gated
from isopach.jobs.inputs import Input
from isopach.jobs.keeping import with_kept
from isopach.jobs.nightly import Options, feed_tables, parameters_of, plan_night, stage
from isopach.jobs.progress import Progress
from isopach.jobs.reconciling import Night, Reconciled, compare_rows, write_differences
from isopach.lake.commits import newest
from isopach.lake.ledger import new_run, record_run
from isopach.lake.places import Place
from isopach.lake.publish import checksum_of, differences_of, publish
from isopach.lake.verdicts import write_verdicts
from isopach.lake.windows import windows_of
from isopach.pipelines.causes import corrected
from isopach.pipelines.reconcile import BATCH
from isopach.pipelines.seen import look_at_nights
from isopach.pipelines.staging import Target
from isopach.pipelines.verify import verify
from isopach.transforms.counts import Window


@dataclass(frozen=True)
class Repaired:
    """What came of a repair.

    `compared` settled windows were held against what there is now, `repaired` ones differed and
    were replaced; `differences` are as in `ledger/differences`. `left` are windows that could not
    be used, and why. `again` is how many records differ now: none, unless something else wrote.
    """

    run: str
    outcome: str
    compared: int
    repaired: list[Window]
    differences: pl.DataFrame
    left: list[dict[str, str]] = field(default_factory=list)
    again: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


def repair(
    declaration: Declaration,
    source: Input,
    lake: Place,
    day: date,
    options: Options,
    show: Progress,
) -> Repaired:
    """Stage a settled date anew, replace the windows that differ, and compare them once more.

    Windows of which verification finds something wrong differ too, whatever the ledger says.

    Raises LandingError, LogError; what fails before publishing leaves the tables as they were.
    """
    feed, to = declaration.feed, feed_tables(declaration)
    seconds: dict[str, float] = {}
    with show.phase("Plan", seconds):
        planned = plan_night(declaration, source, lake, day, options)
    finish_killed(lake, to)
    finish_replays(declaration, lake, to)
    run = new_run(
        feed.feed, "repair", "batch", options.runner, parameters_of(feed, source, day, options)
    )
    target = Target(lake, feed, run.run)
    try:
        record_run(lake, run)
        staged = stage(planned, target, options, show, seconds)
        judged = gated(target, staged, planned.audit(staged)[0]).verdicts
        verdicts = {(v.site, v.day): v for v in judged}
        passed = [window for window, verdict in verdicts.items() if not verdict.held]
        night = Night(declaration, to, target, staged, passed, options.runner, options.beam)
        with show.phase("Compare", seconds):
            night = replace(night, staged=with_kept(night, Reconciled()))
            staged = night.staged
            settled = _settled(night, day)
            findings = verify(lake, feed, to, day).findings
            damaged = {(finding.site, finding.business_date) for finding in findings}
            now = {window: checksum_of(staged.counts.get(window, {})) for window in passed}
            differing = [
                w for w in passed if w in settled and (settled[w] != now[w] or w in damaged)
            ]
            found = _compared(night, differing) if differing else None
            if found is not None:
                seen = look_at_nights(lake, feed, staged.files.get("quarantine", []), day, findings)
                write_differences(target.folder, corrected(found, seen, feed))
        rows = differences_of(target.folder, run.run, feed.feed)
        with show.phase("Publish", seconds):
            if differing:
                write_verdicts(target.folder, [verdicts[window] for window in differing])
                publish(lake, to, run.run, target.folder)
    except BaseException as error:
        abandon(lake, to, run, target, error)
        raise
    with show.phase("Compare again", seconds):
        again = _compared(night, differing).height if differing else 0
    outcome = "repaired" if differing else "agrees"
    proved = f"; compared again, {again:,} records differ" if differing else ""
    finish(lake, to, run, target, outcome + proved)
    delete_unpublished(lake, to, staged)
    left = [
        {"site": site, "reason": v.held or "never settled: run the night"}
        for (site, _), v in verdicts.items()
        if (site, day) not in settled or v.held
    ]
    compared = sum(window in settled for window in passed)
    return Repaired(run.run, outcome, compared, differing, rows, left, again, seconds)


def _settled(night: Night, day: date) -> dict[Window, str]:
    """Return the checksums of windows that a night has settled."""
    rows = windows_of(night.target.lake, night.declaration.feed.feed, {day})
    settled = rows.filter(pl.col("settled_by").is_not_null())
    return {
        (site, date): text
        for site, date, text in settled.select("site", "business_date", "checksum").iter_rows()
    }


def _compared(night: Night, windows: list[Window]) -> pl.DataFrame:
    """Return the records that differ between what is published and what is staged."""
    records = newest(night.target.lake, night.tables.records)
    assert records is not None, "windows are settled"
    rows: Counter[str] = Counter()
    for window in windows:
        rows[window[0]] += 2 * night.staged.counts.get(window, {}).get("accepted", 0)
    return compare_rows(night, records, windows, rows, BATCH)
