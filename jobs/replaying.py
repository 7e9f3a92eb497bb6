"""Replay rejected rows: those that today's rules accept go into records, each at most once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import polars as pl

from isopach.expectations.rules import row_rules
from isopach.feeds.load import Declaration
from isopach.jobs.endings import (
    clean_up_replay,
    finish_killed,
    finish_replays,
    give_up,
    versions,
)
from isopach.jobs.memory import reuse_freed_memory
from isopach.jobs.nightly import feed_tables
from isopach.jobs.progress import Progress
from isopach.lake.commits import check_columns, commit, newest
from isopach.lake.ledger import Run, new_run, record_run, runs_under_way
from isopach.lake.places import Place
from isopach.lake.replays import BATCH, CADENCE, REPLAYS
from isopach.lake.tables import FeedTables
from isopach.pipelines.admitting import DUPLICATE, FREE, LEFT, Admission
from isopach.pipelines.provisional import WINDOW
from isopach.pipelines.replay import Choice, candidates, passed
from isopach.pipelines.replay_followers import follow
from isopach.pipelines.staging import Target

REPLAYED, NOTHING, DRY = "replayed", "nothing to do", "dry run"


@dataclass(frozen=True)
class Summary:
    """What came of a replay; `run` is None where it changed nothing.

    `rejected` are the rows that today's rules reject, by reason; `left` are windows whose rows are
    left alone, with their state, for as long as they are in it.
    """

    run: str | None
    feed: str
    outcome: str
    candidates: int
    accepted: int
    rejected: dict[str, int]
    duplicate: int
    left: list[dict[str, Any]]
    seconds: float


@dataclass
class Found:
    """What became of rows so far."""

    candidates: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    left: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def note(self, part: Admission) -> None:
        """Add what became of the rows that the rules accept."""
        assert part.passed.rows is not None
        own = pl.from_arrow(part.passed.rows.select(WINDOW))
        assert isinstance(own, pl.DataFrame)
        fates = own.with_columns(part.fate.alias("fate"), pl.col("site").cast(pl.String))
        self.accepted += fates.filter(fate=FREE).height
        self.duplicate += fates.filter(fate=DUPLICATE).height
        left = fates.filter(pl.col("fate").is_in(LEFT)).group_by(*WINDOW, "fate").len()
        for site, day, state, rows in left.iter_rows():
            self.left[day.isoformat(), site, state] += rows


@dataclass
class Replay:
    """A replay under way: what it found, and how many parts of it the records have."""

    declaration: Declaration
    lake: Place
    run: Run
    found: Found = field(default_factory=Found)
    parts: int = 0
    recorded: bool = False

    @property
    def tables(self) -> FeedTables:
        return feed_tables(self.declaration)

    def put_in(self, choice: Choice, dry: bool) -> None:
        """Put rows that today's rules accept into records, a part at a time."""
        feed, rules = self.declaration.feed, row_rules(self.declaration.feed)
        records = newest(self.lake, self.tables.records)
        before = (records.fence(REPLAYS) or 0) if records else 0
        for chunk in candidates(self.lake, feed.feed, choice):
            self.found.candidates += chunk.height
            judged = passed(chunk, feed, self.declaration.sites, rules)
            self.found.rejected += judged.rejected
            if judged.rows is not None:
                target = Target(self.lake, feed, self.run.run)
                part = Admission(target, self.parts + 1, judged, before + self.parts)
                self._admit(part, dry)
                self.found.note(part)

    def _admit(self, part: Admission, dry: bool) -> None:
        if not part.judge(newest(self.lake, self.tables.records)) or dry:
            return
        if not self.recorded:
            record_run(self.lake, self.run)
            self.recorded = True
        commit(self.lake, self.tables.records, part.decide)
        self.parts += bool(part.files)

    def finish(self) -> None:
        """Have the other tables follow, and record how the run ended."""
        if not self.recorded:
            return
        follow(self.lake, self.declaration.feed, self.declaration.sites, self.run.run)
        clean_up_replay(self.lake, self.tables, self.run.run)
        record_run(self.lake, self.run.ended_as(self.outcome, versions(self.lake, self.tables)))

    @property
    def outcome(self) -> str:
        return REPLAYED if self.parts else NOTHING


def run_replay(
    declaration: Declaration, lake: Place, choice: Choice, show: Progress, dry: bool = False
) -> Summary:
    """Run rejected rows of quarantine through today's rules.

    First finishes what was killed, unless it is a dry run, which writes nothing. Where there is
    nothing to do, nothing is written either. Raises SchemaChangeError.
    """
    started, phases = perf_counter(), dict[str, float]()
    feed, to = declaration.feed, feed_tables(declaration)
    for table in to.all:
        check_columns(lake, table)
    reuse_freed_memory()
    if not dry:
        with show.phase("Finish", phases):
            alive = [run.run for run in runs_under_way(lake, to.feed) if not run.killed]
            finish_killed(lake, to, alive)
            finish_replays(declaration, lake, to)
    parameters = {"feed": json.loads(feed.model_dump_json()), **asdict(choice)}
    replay = Replay(declaration, lake, new_run(feed.feed, CADENCE, BATCH, "none", parameters))
    try:
        with show.phase("Replay", phases):
            replay.put_in(choice, dry)
        with show.phase("Follow", phases):
            replay.finish()
    except BaseException as error:
        if replay.recorded:
            give_up(lake, replay.run, error)
        raise
    found = replay.found
    return Summary(
        run=replay.run.run if replay.recorded else None,
        feed=feed.feed,
        outcome=DRY if dry else replay.outcome,
        candidates=found.candidates,
        accepted=found.accepted,
        rejected=dict(found.rejected.most_common()),
        duplicate=found.duplicate,
        left=[
            {"site": site, "business_date": day, "state": state, "rows": rows}
            for (day, site, state), rows in sorted(found.left.items())
        ],
        seconds=round(perf_counter() - started, 3),
    )
