"""A log, read again, as the input of a night: for feeds without deliveries, and for repairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from isopach.jobs.audits import audit_events
from isopach.jobs.inputs import Scope
from isopach.jobs.runners import pipeline_on, run_to_end
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.staged import Staged
from isopach.lake.verdicts import Verdict
from isopach.pipelines.logs import Log, LogError
from isopach.pipelines.micro_batch import Range
from isopach.pipelines.nightly import Wave
from isopach.pipelines.pieces import STAMP_BYTES
from isopach.pipelines.provisional import stream_counts
from isopach.pipelines.rereading import Day, build, plan_rereads
from isopach.pipelines.staging import Target
from isopach.pipelines.waves import runs_of_groups
from isopach.transforms.salt import SaltingPlan, plan_salts

ROW_BYTES = 200
"""What a row of a log is taken to need in memory beside its stamps."""


@dataclass(frozen=True)
class Events:
    """A feed's log, by the address it was opened with; planning raises LogError."""

    log: Log
    address: str

    @property
    def parameters(self) -> dict[str, str]:
        return {"source": self.address}

    def plan(self, scope: Scope, usual: Mapping[str, int], memory: int | None) -> Reread:
        """Find the range that may hold the date's rows; what has landed of it says how many."""
        feed, sites = scope.declaration.feed, scope.declaration.sites
        if not self.log.sources():
            raise LogError(
                f"{self.address}: no partition of {feed.feed} there; is it the right one?"
            )
        only = frozenset(site.site for site in scope.due)
        day = Day(scope.day, feed, sites, only)
        ranges = plan_rereads(self.log, day, self._landed(scope))
        counted = stream_counts(scope.lake, feed.feed, [scope.day])
        rows = {
            site: counted[site, scope.day].read
            if (site, scope.day) in counted
            else usual.get(site, 0)
            for site in sorted(only)
        }
        salting = plan_salts(rows, feed.salting.target_rows)
        weight = [rows * (ROW_BYTES + STAMP_BYTES) for rows in salting.rows]
        groups = runs_of_groups(weight, memory) if ranges else []
        waves = [Wave(n, frozenset(run), (), frozenset()) for n, run in enumerate(groups)]
        return Reread(self.log, scope, day, ranges, salting, waves)

    def _landed(self, scope: Scope) -> dict[str, int]:
        """Return the lowest position of each source that a stream has landed for the date."""
        feed = scope.declaration.feed
        records = scan(scope.lake, tables.records(feed.feed, feed.payload))
        rows = records.filter(
            pl.col("_mode") == "stream", pl.col("business_date") == scope.day
        ).group_by("_source")
        return dict(rows.agg(pl.col("_position").min()).collect().iter_rows())


@dataclass(frozen=True)
class Reread:
    """The ranges of a log that may hold a business date's rows."""

    log: Log
    scope: Scope
    day: Day
    ranges: list[Range]
    salting: SaltingPlan
    waves: list[Wave]

    @property
    def rows(self) -> int:
        return len(self.waves) * sum(one.end - one.first for one in self.ranges)

    def stage(self, wave: Wave, target: Target, runner: str, beam: Sequence[str]) -> None:
        """Stage the rows of a wave's groups; each wave reads all ranges."""
        pipeline = pipeline_on(runner, beam, max(len(wave.groups), len(self.ranges)))
        build(
            pipeline,
            log=self.log,
            ranges=self.ranges,
            day=self.day,
            target=target,
            plan=self.salting,
            wave=wave,
        )
        run_to_end(pipeline)

    def audit(self, staged: Staged) -> tuple[list[Verdict], list[str]]:
        """Judge each site that sends on the date."""
        return audit_events(self.scope, staged)
