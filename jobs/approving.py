"""Approve: publish windows of a staged run that a gate holds, because somebody says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl

from isopach.feeds.load import Declaration
from isopach.jobs.endings import finish, give_up
from isopach.jobs.keeping import with_kept
from isopach.jobs.nightly import Options, feed_tables
from isopach.jobs.progress import Progress
from isopach.jobs.reconciling import Night, reconcile
from isopach.lake.ledger import new_run, record_run
from isopach.lake.places import Place
from isopach.lake.publish import publish
from isopach.lake.staged import STAGED, Window, read_staged
from isopach.lake.verdicts import PUBLISHED, Verdict, write_verdicts
from isopach.lake.waiting import held_windows
from isopach.lake.windows import close_to_streams, reopen
from isopach.pipelines.staging import Target


@dataclass(frozen=True)
class Waiting:
    """A window of a run that is held, and why; `problem` says why nobody can approve it."""

    site: str
    business_date: date
    reason: str
    declared: int | None = None
    delivery: str | None = None
    arrived: datetime | None = None
    manifest: str | None = None
    accepted: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class Approved:
    """What was published by whom, in which run of its own, and what still waits."""

    run: str
    by: str
    approval: str | None
    published: list[Waiting]
    waiting: list[Waiting]
    differing: int = 0
    causes: dict[str, int] = field(default_factory=dict)


def waiting_windows(
    declaration: Declaration, lake: Place, run: str, only: Sequence[str] | None = None
) -> list[Waiting]:
    """Return the windows that a run has staged and that are held by it to this moment.

    Those that a later run has settled, or has held anew, are none of them.
    """
    held = held_windows(lake, declaration.feed.feed).filter(run=run).drop("run")
    if only:
        held = held.filter(pl.col("site").is_in(list(only)))
    folder = Target(lake, declaration.feed, run).folder
    staged = read_staged(folder).counts if (folder / STAGED).exists() else None
    return [
        Waiting(**row, problem=_problem(declaration, row, staged))
        for row in held.iter_rows(named=True)
    ]


def _problem(
    declaration: Declaration,
    row: Mapping[str, Any],
    staged: Mapping[Window, Mapping[str, int]] | None,
) -> str | None:
    """Return why a window cannot be published as it was staged."""
    if row["site"] not in declaration.sites:
        return "the site is not registered, so none of its rows was accepted"
    if not row["delivery"]:
        return "nothing of it was staged: there is no delivery that can be used"
    if staged is None:
        return "what was staged is gone: run the night again"
    tally = staged.get((row["site"], row["business_date"]), {})
    if tally.get("unreadable") and not tally.get("accepted"):
        return "its files cannot be read: have them delivered again"
    return None


def runs_that_wait(lake: Place, feed: str) -> list[str]:
    """Return the runs of a feed that hold windows, newest first."""
    return sorted(held_windows(lake, feed)["run"].unique(), reverse=True)


def approve(
    declaration: Declaration,
    lake: Place,
    run: str,
    only: Sequence[str] | None,
    options: Options,
    show: Progress,
) -> Approved:
    """Publish the windows of a run that wait and can be published; `ledger/runs` says who did it.

    They are compared anew with what the stream has by now. The rows stay those of the run that
    staged them, and its counts carry who approved and what the reason to hold was.
    """
    feed, to = declaration.feed, feed_tables(declaration)
    every = waiting_windows(declaration, lake, run, only)
    chosen = [window for window in every if window.problem is None]
    rest = [window for window in every if window.problem]
    given = [{"site": w.site, "date": w.business_date, "reason": w.reason} for w in chosen]
    approval = new_run(
        feed.feed, "publish", "batch", options.runner, {"approves": run, "windows": given}
    )
    if not chosen:
        return Approved(run, approval.who, None, [], rest)
    target = Target(lake, feed, run)
    windows = [(window.site, window.business_date) for window in chosen]
    said = f"approved by {approval.who} in run {approval.run}"
    try:
        record_run(lake, approval)
        with show.phase("Reconcile", {}):
            close_to_streams(lake, to, approval.run, windows)
            staged = read_staged(target.folder)
            sides = Night(declaration, to, target, staged, windows, options.runner, options.beam)
            compared = reconcile(sides)
            with_kept(sides, compared)
        with show.phase("Publish", {}):
            verdicts = [
                Verdict(
                    *window,
                    None,
                    one.declared,
                    one.delivery,
                    one.arrived,
                    one.manifest,
                    compared.streamed.get(window),
                    f"{said}: {one.reason}",
                )
                for window, one in zip(windows, chosen, strict=True)
            ]
            write_verdicts(target.folder, verdicts)
            (target.folder / PUBLISHED).delete()  # from here on a killed approval is finished
            publish(lake, to, run, target.folder)
    except BaseException as error:
        reopen(lake, feed.feed, approval.run)
        give_up(lake, approval, error)
        raise
    finish(lake, to, approval, target, "published")
    return Approved(
        run, approval.who, approval.run, chosen, rest, len(compared.found), compared.causes
    )
