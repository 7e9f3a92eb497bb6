"""Maintain tables: join small files, delete what nobody needs, tidy the log, and check it all.

Each step leaves the tables' rows as they are, and may be killed: the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from isopach.feeds.load import Declaration
from isopach.jobs.nightly import feed_tables
from isopach.jobs.progress import Progress
from isopach.lake import compact, tables
from isopach.lake.commits import Snapshot, newest
from isopach.lake.delta_log import log_faults, lost_fences, read_log, tidy_log
from isopach.lake.inventory import misfits
from isopach.lake.places import Place
from isopach.lake.tables import Table
from isopach.lake.vacuum import Stored, deletable, delete
from isopach.pipelines.findings import Finding
from isopach.pipelines.verify_files import FILES

FEWEST = 2
"""Small files of a partition that are joined: here nobody waits for it, as a stream would."""
STEPS = 4
Told = Callable[[str], None]


class Engine(Protocol):
    """What rewrites and deletes the files of tables."""

    def join(self, lake: Place, table: Table, near: Sequence[str], told: Told) -> None:
        """Join small files; rows that agree in some columns may be laid close together."""

    def delete(
        self, lake: Place, table: Table, files: Sequence[Stored], retention: timedelta, told: Told
    ) -> list[Stored]:
        """Delete files that no version within the retention has; return those deleted."""


class DeltaRs:
    """Maintains tables in this process, a bounded number of rows at a time."""

    def join(self, lake: Place, table: Table, near: Sequence[str], told: Told) -> None:
        now = newest(lake, table)
        small = sum(file.size for file in now.files if file.size < compact.SMALL) if now else 0
        for _ in range(small // compact.MOST + 1):  # a stream beside brings more all the time
            fewer = compact.compact(lake, table, FEWEST)
            if not fewer:
                return
            told(f"{fewer:,} files fewer")

    def delete(
        self, lake: Place, table: Table, files: Sequence[Stored], retention: timedelta, told: Told
    ) -> list[Stored]:
        return delete(lake, table, files, lambda gone: told(f"{gone:,} of {len(files):,}"))


@dataclass(frozen=True)
class Options:
    """How tables are maintained; `now` is the moment (UTC) that the retention ends at."""

    retention: timedelta = timedelta(days=7)
    dry: bool = False
    now: datetime | None = None


@dataclass(frozen=True)
class Upkeep:
    """What was done to a table, or would be; files are those of its newest version.

    `deleted` are files that no version within the retention had, of `freed` bytes.
    """

    table: str
    version_before: int
    version_after: int
    files_before: int
    files_after: int
    deleted: int
    freed: int
    findings: list[Finding] = field(default_factory=list)


def maintain(
    declaration: Declaration, lake: Place, options: Options, show: Progress, engine: Engine
) -> list[Upkeep]:
    """Maintain the tables of a feed, and those of the ledger that it shares."""
    to = feed_tables(declaration)
    near = {to.records.name: list(dict.fromkeys(["site", *declaration.feed.key]))}
    every = [table for table in (*to.all, *tables.LEDGER) if newest(lake, table) is not None]
    done = []
    for number, table in enumerate(every, 1):
        with show.steps(f"{number}/{len(every)} {table.name}", STEPS) as step:
            one = Maintenance(lake, table, to.feed, options, engine, step)
            done.append(one.foreseen() if options.dry else one.run(near.get(table.name, [])))
    return done


@dataclass(frozen=True)
class Maintenance:
    """The maintenance of one table."""

    lake: Place
    table: Table
    feed: str
    options: Options
    engine: Engine
    step: Callable[[int, str], None]

    def run(self, near: Sequence[str]) -> Upkeep:
        """Carry it out, step by step."""
        before, fences = self._newest(), read_log(self.lake, self.table).fences()
        files = len(before.files)
        self.step(0, "joining")
        self.engine.join(self.lake, self.table, near, lambda text: self.step(0, f"joining: {text}"))
        self.step(1, "looking for what is not needed")
        gone = self.engine.delete(
            self.lake,
            self.table,
            self._deletable(),
            self.options.retention,
            lambda text: self.step(1, f"deleting: {text}"),
        )
        self.step(2, "writing a checkpoint")
        tidy_log(self.lake, self.table, self.options.retention)
        self.step(3, "checking")
        after = self._newest()
        return Upkeep(
            self.table.name,
            before.version,
            after.version,
            files,
            len(after.files),
            len(gone),
            sum(file.size for file in gone),
            list(self._faults(after, fences)),
        )

    def foreseen(self) -> Upkeep:
        """Say what would be done, and check."""
        self.step(0, "looking")
        now, gone = self._newest(), self._deletable()
        groups = list(compact.small_groups(now.files, FEWEST))
        left = len(now.files) - sum(len(group) - 1 for group in groups)
        return Upkeep(
            self.table.name,
            now.version,
            now.version,
            len(now.files),
            left,
            len(gone),
            sum(file.size for file in gone),
            list(self._faults(now, {})),
        )

    def _newest(self) -> Snapshot:
        now = newest(self.lake, self.table)
        assert now is not None, "it was there"
        return now

    def _deletable(self) -> list[Stored]:
        now = self.options.now or datetime.now(UTC)
        return deletable(self.lake, self.table, self.feed, self.options.retention, now)

    def _faults(self, now: Snapshot, before: dict[str, int]) -> Iterator[Finding]:
        """Yield what is wrong with the log, the files, and fences that there were before."""
        log = read_log(self.lake, self.table)
        for said in log_faults(log):
            yield Finding("log", None, None, f"{self.table.name}/{said}")
        for said in misfits(self.lake, self.table, now, None):
            yield Finding(FILES, None, None, said)
        for said in lost_fences(before, log.fences()):
            yield Finding("fences", None, None, f"{self.table.name}: {said}")
