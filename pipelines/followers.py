"""The tables that follow the records of a stream: quarantine, counts, totals, window states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from isopach.feeds.feed import Feed
from isopach.feeds.sites import Sites
from isopach.lake import tables
from isopach.lake.commits import Change, Snapshot, commit, newest
from isopach.lake.landings import (
    NUMBER,
    Landing,
    LandingLostError,
    Window,
    forget_landings,
    landings_after,
)
from isopach.lake.pausing import totals_paused
from isopach.lake.places import Place
from isopach.lake.replace import read_file, revise
from isopach.lake.replays import resting
from isopach.lake.tables import Table
from isopach.lake.windows import windows_frame
from isopach.pipelines.provisional import WINDOW, add_counts, record_states
from isopach.pipelines.staging import totals_table
from isopach.transforms.totals import merge, partial_totals

Parts = Mapping[str, list[pa.RecordBatch]]
Revised = Callable[[pl.DataFrame, list["Noted"]], pl.DataFrame]


class Noted(NamedTuple):
    """A landing whose counts and totals (parts, by name) are still to be written."""

    landing: Landing
    totals: Parts


class Due(NamedTuple):
    """Landings taken to be written, by number; totals wait where they are `paused`."""

    landings: dict[int, Noted]
    paused: bool


class Followers:
    """Brings each table to the landing that the records have, each landing once.

    Quarantine follows every landing at once; counts, totals and states some landings at a time:
    `take` what is due, and `flush` it, for which a thread beside may be used. What another takes
    up meanwhile a second time, each table's fence drops.
    """

    def __init__(self, lake: Place, feed: Feed, sites: Sites) -> None:
        self.lake, self.feed, self.sites = lake, feed, sites
        self.totals = {name: totals_table(feed, name) for name in feed.totals}
        self.noted: dict[int, Noted] = {}
        self._behind = False

    def follow(self, landing: Landing, rows: pa.Table | None) -> None:
        """Set aside a landing's bad rows, and note its counts and totals for `flush`."""
        self._quarantine(landing)
        self.noted[landing.number] = Noted(landing, _totals(rows, self.feed))

    def catch_up(self, records: Snapshot) -> None:
        """Follow what has landed and some table does not have; raises LandingLostError."""
        after = self._followed()
        try:
            landings = list(landings_after(self.lake, self.feed.feed, records, after))
        except LandingLostError:
            if self._followed() == after:
                raise
            return self.catch_up(records)  # another committer was first, and has tidied up
        for landing in reversed(landings):
            if landing.number not in self.noted:
                self._quarantine(landing)
                self.noted[landing.number] = Noted(landing, self._totals_of_files(landing))

    def take(self) -> Due:
        """Take what is noted, to be flushed."""
        paused = bool(self.totals) and totals_paused(self.lake, self.feed.feed)
        if self._behind and not paused:
            self._catch_up()
        noted, self.noted = self.noted, {}
        return Due(noted, paused)

    def put_back(self, due: Due) -> None:
        """Note again what was taken, and could not be written."""
        self.noted = {**due.landings, **self.noted}

    def flush(
        self, due: Due, watermark: int, changed: Iterable[tuple[str, date]] = ()
    ) -> int | None:
        """Write counts, totals and window states.

        Returns the version of the ledger of windows that this made; None if it made none.

        Args:
            watermark: what windows are complete and closed by, UTC microseconds.
            changed: windows whose state the watermark has changed.
        """
        noted, paused = due
        touched = {w for one in noted.values() for w in one.landing.counts}
        if noted:
            self._flush_counts(noted)
            self._behind = paused
            for name, table in self.totals.items() if not paused else ():
                self._flush_total(name, table, touched, noted)
        fences = {self._ledger_fence: max(noted)} if noted else {}
        states = {*touched, *changed}
        ledger = record_states(self.lake, self.feed, self.sites, states, watermark, fences)
        if noted and not paused:
            forget_landings(self.lake, self.feed.feed, max(noted))
        return ledger

    def _catch_up(self) -> None:
        """Take up again the landings that totals have not followed, as they waited."""
        records = newest(self.lake, tables.records(self.feed.feed, self.feed.payload))
        assert records is not None, "totals are behind them"
        self.catch_up(records)

    def _followed(self) -> int:
        """Return the landing that all tables have reached."""
        return min(self._reached(table, fence) for table, fence in self._fenced())

    def _fenced(self) -> Iterator[tuple[Table, str]]:
        yield from ((table, self._ledger_fence) for table in (tables.COUNTS, tables.WINDOWS))
        yield from ((table, NUMBER) for table in self.totals.values())

    @property
    def _ledger_fence(self) -> str:
        return f"{NUMBER}/{self.feed.feed}"

    def _reached(self, table: Table, fence: str) -> int:
        now = newest(self.lake, table)
        return (now.fence(fence) or 0) if now else 0

    def _quarantine(self, landing: Landing) -> None:
        files = landing.files.get("quarantine", ())

        def decide(now: Snapshot) -> Change | None:
            if (now.fence(NUMBER) or 0) >= landing.number:
                return None
            return Change(files, fences={NUMBER: landing.number})

        if files:
            commit(self.lake, tables.quarantine(self.feed.feed), decide)

    def _totals_of_files(self, landing: Landing) -> Parts:
        """Return a landing's totals from the files that it brought."""
        table = tables.records(self.feed.feed, self.feed.payload)
        found: dict[str, list[pa.RecordBatch]] = defaultdict(list)
        for file in landing.files.get("records", ()) if self.totals else ():
            rows = read_file(self.lake, table, file, table.schema.names).to_arrow()
            for name, part in partial_totals(rows, self.feed):
                found[name].append(part)
        return found

    def _flush_counts(self, noted: Mapping[int, Noted]) -> None:
        keys = pl.DataFrame(
            [(one.landing.run, *w) for one in noted.values() for w in one.landing.counts],
            schema={"run": pl.String, "site": pl.String, "business_date": pl.Date},
            orient="row",
        ).unique()

        def change(old: pl.DataFrame, fresh: list[Noted]) -> pl.DataFrame:
            return add_counts(old, [one.landing for one in fresh], self.feed.feed)

        self._revise(tables.COUNTS, keys, change, self._ledger_fence, noted)

    def _flush_total(
        self, name: str, table: Table, touched: set[Window], noted: Mapping[int, Noted]
    ) -> None:
        def change(old: pl.DataFrame, fresh: list[Noted]) -> pl.DataFrame:
            """Add increments, but for windows that a night has settled, or will for certain."""
            days = {day for _, day in touched if day}
            parts = [part for one in fresh for part in one.totals.get(name, ())]
            known = resting(self.lake, self.feed.feed, sorted(days))
            settled = known.filter(pl.col("rests_on").is_not_null()).select(WINDOW)
            rest = old.join(settled, on=WINDOW, how="semi")
            stored = old.join(settled, on=WINDOW, how="anti").drop("_mode", "_run")
            parts += stored.to_arrow().cast(_measures(table)).to_batches()
            if not parts:
                return old
            merged = pl.from_arrow(merge(parts, self.feed.totals[name]))
            assert isinstance(merged, pl.DataFrame)
            stamped = merged.join(settled, on=WINDOW, how="anti").with_columns(
                _mode=pl.lit("stream"), _run=pl.lit(fresh[-1].landing.run)
            )
            return pl.concat([rest, stamped.select(old.columns).cast(old.schema)])

        self._revise(table, windows_frame(touched), change, NUMBER, noted)

    def _revise(
        self,
        table: Table,
        keys: pl.DataFrame,
        change: Revised,
        fence: str,
        noted: Mapping[int, Noted],
    ) -> None:
        """Change rows by the landings that a table does not have yet."""

        def revised(now: Snapshot, old: pl.DataFrame) -> pl.DataFrame | None:
            reached = now.fence(fence) or 0
            fresh = [one for number, one in sorted(noted.items()) if number > reached]
            return change(old, fresh) if fresh else None

        revise(self.lake, table, keys, revised, {fence: max(noted)})


class Flush(NamedTuple):
    """What is to be written of what has landed; `moved` are the windows' states by a watermark."""

    followers: Followers
    due: Due
    watermark: int
    moved: dict[tuple[str, date], str]
    changed: set[tuple[str, date]]

    def write(self) -> int | None:
        """Write counts, totals and states; see `Followers.flush`."""
        return self.followers.flush(self.due, self.watermark, self.changed)


def _totals(rows: pa.Table | None, feed: Feed) -> Parts:
    return {} if rows is None else {n: [part] for n, part in partial_totals(rows, feed)}


def _measures(table: Table) -> pa.Schema:
    return pa.schema([field for field in table.schema if field.name not in ("_mode", "_run")])
