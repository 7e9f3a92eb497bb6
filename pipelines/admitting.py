"""Admit: which replayed rows go into records, decided by what a version of the records holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import Change, Snapshot
from isopach.lake.files import DataFile
from isopach.lake.places import Place
from isopach.lake.replays import (
    BATCH,
    REPLAYS,
    Brought,
    Part,
    being_published,
    folder_of,
    replay_fence,
    resting,
    write_part,
)
from isopach.lake.windows import HELD, PROVISIONAL, SETTLED, SETTLING
from isopach.pipelines.provisional import WINDOW
from isopach.pipelines.replay import Passed
from isopach.pipelines.staging import Target, write_parts
from isopach.transforms.batches import frame, repeated
from isopach.transforms.checksum import row_hashes

FREE, DUPLICATE, THERE = "free", "duplicate", "there"
"""What becomes of a row whose window is open to it: it goes in, or its key, or itself, is there."""
LEFT = (HELD, SETTLING, SETTLED)
"""Windows whose rows are left alone: a night's wait; a night is publishing; a night has taken the
place of the stream that a row is of."""
WHERE = ["_source", "_position"]


def fates(
    passed: Passed, now: Snapshot | None, lake: Place, feed: Feed, anywhere: bool
) -> pl.Series:
    """Return what becomes of each row that today's rules accept: FREE, or why it stays.

    Args:
        anywhere: look for a row's position in all records, not only on its date.
    """
    assert passed.rows is not None
    view = passed.rows.select(list(dict.fromkeys([*WINDOW, *feed.key, *WHERE])))
    rows = (
        frame(view)
        .with_row_index("_row")
        .with_columns(fate=_by_window(frame(passed.rows.select(WINDOW)), passed.origin, lake, feed))
    )
    key = list(dict.fromkeys([*WINDOW, *feed.key]))
    there = stored(now, rows.select(WHERE), None if anywhere else rows)
    rows = _marked(rows, rows.join(there, on=WHERE, how="semi"), THERE)
    keys = stored(now, rows.filter(fate=FREE).select(key), rows)
    rows = _marked(rows, rows.join(keys, on=key, how="semi", nulls_equal=True), DUPLICATE)
    free = rows.filter(fate=FREE).sort(WHERE)
    again = free.filter(~free.select(pl.struct(key).is_first_distinct()).to_series())
    return _marked(rows, again, DUPLICATE)["fate"]


def _marked(rows: pl.DataFrame, some: pl.DataFrame, fate: str) -> pl.DataFrame:
    hit = pl.col("_row").is_in(some["_row"].implode()) & (pl.col("fate") == FREE)
    return rows.with_columns(fate=pl.when(hit).then(pl.lit(fate)).otherwise("fate"))


def _by_window(own: pl.DataFrame, origin: pl.DataFrame, lake: Place, feed: Feed) -> pl.Series:
    """Return FREE for rows whose window is open to them, and of the others its state.

    A night's rows go only into windows that rest on that night; a stream's only into those that no
    night has taken or was held in.
    """
    windows = resting(lake, feed.feed, own["business_date"].unique().to_list())
    busy = being_published(lake, feed.feed, windows["rests_on"].drop_nulls().unique().to_list())
    rows = own.with_columns(origin["_mode"], origin["_run"]).join(
        windows, on=WINDOW, how="left", maintain_order="left"
    )
    state = pl.col("state").fill_null(PROVISIONAL)
    own_night = (state == SETTLED) & (pl.col("rests_on") == pl.col("_run")).fill_null(False)
    settling = (state == SETTLING) | pl.col("rests_on").is_in(busy).fill_null(False)
    batch = pl.col("_mode") == BATCH
    return rows.select(
        pl.when(settling)
        .then(pl.lit(SETTLING))
        .when(pl.when(batch).then(own_night).otherwise(state == PROVISIONAL))
        .then(pl.lit(FREE))
        .when(batch)
        .then(pl.lit(HELD))
        .otherwise(state)
        .alias("fate")
    ).to_series()


def stored(now: Snapshot | None, rows: pl.DataFrame, near: pl.DataFrame | None) -> pl.DataFrame:
    """Return which of some rows, by any columns, the records have; in the windows of others."""
    if now is None or rows.is_empty():
        return rows.clear()
    found = pl.scan_delta(now.delta)
    if near is not None:
        found = found.filter(
            *(pl.col(name).is_in(near[name].unique().to_list()) for name in WINDOW)
        )
    wanted = rows.unique().lazy()
    same = found.select(rows.columns).join(wanted, on=rows.columns, how="semi", nulls_equal=True)
    return same.unique().collect(engine="streaming")


@dataclass
class Admission:
    """One part of a replay on its way into the records; decides anew for each snapshot."""

    target: Target
    number: int
    passed: Passed
    before: int
    """Commits of replays that the records had when the rows were found to be set aside."""
    fate: pl.Series = field(default_factory=pl.Series)
    files: list[DataFile] = field(default_factory=list)

    def judge(self, now: Snapshot | None) -> int:
        """Judge the rows by a snapshot; return how many would go in."""
        others = bool(now and (now.fence(REPLAYS) or 0) != self.before)
        self.fate = fates(self.passed, now, self.target.lake, self.target.feed, others)
        return int((self.fate == FREE).sum())

    def decide(self, now: Snapshot) -> Change | None:
        """Return the rows that go in, described before; None if none does."""
        fence = replay_fence(self.target.run)
        if (now.fence(fence) or 0) >= self.number:
            return None  # committed, and only the answer was lost
        self.discard()
        if not self.judge(now):
            return None
        feed, lake = self.target.feed, self.target.lake
        free = self.fate == FREE
        assert self.passed.rows is not None
        rows = self.passed.rows.filter(free.to_arrow()).combine_chunks()
        rows = rows.append_column("_run", repeated(self.target.run, rows.num_rows))
        records = tables.records(feed.feed, feed.payload)
        self.files = list(write_parts(rows, records, self.target, self.target.unlike))
        origin = self.passed.origin.filter(free)
        part = Part(self.number, tuple(f.path for f in self.files), brought(rows, origin, feed))
        write_part(folder_of(lake, feed.feed, self.target.run), part, origin)
        return Change(
            self.files, fences={fence: self.number, REPLAYS: (now.fence(REPLAYS) or 0) + 1}
        )

    def discard(self) -> None:
        """Delete what was written for a snapshot that another writer has changed."""
        feed = self.target.feed
        table = tables.records(feed.feed, feed.payload)
        for file in self.files:
            (table.place(self.target.lake) / file.path).delete()
        self.files = []


def brought(rows: pa.Table, origin: pl.DataFrame, feed: Feed) -> tuple[Brought, ...]:
    """Return what rows add to their windows, and take from those they were counted in."""
    hashes = row_hashes(rows, feed.payload.names, seeds=2)
    night = pl.when(pl.col("_mode") == BATCH).then("_run")
    moved = origin.select("site", "business_date", "_mode", night)
    own = frame(rows.select(WINDOW)).rename({"site": "own_site", "business_date": "own_day"})
    columns = ["site", "business_date", "own_site", "own_day", "_mode", "_run"]
    groups = moved.hstack(own).with_row_index("_row").group_by(columns).agg("_row")
    found = []
    for site, day, own_site, own_day, mode, run, numbers in groups.sort(columns).iter_rows():
        first, second = map(int, hashes[:, numbers].sum(axis=1, dtype=np.uint64))
        whole = (site, day, own_site, own_day, mode, run, len(numbers), first, second)
        found.append(Brought(*whole))
    return tuple(found)
