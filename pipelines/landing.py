"""The committer: lands intervals in the lake, each row once, in records or in quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from time import perf_counter, time_ns

import polars as pl
import pyarrow as pa

from isopach.feeds.feed import Feed
from isopach.feeds.sites import Sites
from isopach.lake import tables
from isopach.lake.commits import Change, Snapshot, commit, version
from isopach.lake.files import DataFile
from isopach.lake.landings import (
    NUMBER,
    TOKEN,
    WATERMARK,
    Landing,
    LandingLostError,
    Reached,
    Window,
    landed,
    newest_landing,
    place_of,
    write_landing,
)
from isopach.lake.places import Place
from isopach.lake.replays import REPLAYS
from isopach.lake.windows import windows_frame
from isopach.pipelines.followers import Flush, Followers
from isopach.pipelines.intervals import Interval
from isopach.pipelines.judging import Judged, Known, judge
from isopach.pipelines.provisional import (
    CLOSED,
    WINDOW,
    first_open_date,
    progress,
    settled_windows,
    unfinished_windows,
    window_counts,
)
from isopach.pipelines.staging import Target, set_aside_rows, write_parts
from isopach.pipelines.watching import note_landing, note_memory, note_sources
from isopach.transforms.checksum import row_hashes
from isopach.transforms.keys import KeyIndex
from isopach.transforms.lateness import UNKNOWN

STALE = -1
"""The token of a landing that is not to be trusted: learn from the lake first."""


class Lander:
    """Lands intervals; holds fences, keys of open windows, and which windows are settled.

    All of it is a cache of the lake, read on start and again when another committer was first.
    The keys take most: some 100 bytes for each row of the windows that are not closed.
    """

    def __init__(self, lake: Place, feed: Feed, sites: Sites, run: str) -> None:
        self.target = Target(lake, feed, run, "stream")
        self.sites = sites
        self.records = tables.records(feed.feed, feed.payload)
        self.followers = Followers(lake, feed, sites)
        self.keys = KeyIndex(feed.key)
        self.last = Landing(0, run, token=0)
        self.states: dict[tuple[str, date], str] = {}
        self._settled, self._ledger = windows_frame([]), STALE
        self._replays = 0
        self._attempt: Landing | None = None
        self._judged = Judged(None, [], {}, [])

    def land(self, intervals: Iterable[Interval]) -> list[Interval]:
        """Commit what follows on the fences; return intervals that wait for one before them.

        Whatever happens, landing the same intervals again lands nothing twice.
        """
        self._judged, self._attempt = Judged(None, [], {}, []), None
        started = perf_counter()
        try:
            commit(self.target.lake, self.records, partial(self._decide, list(intervals)))
            self._adopt(started)
        except BaseException:
            self.last = replace(self.last, token=STALE)  # it may have been committed all the same
            raise
        note_sources(self.target.feed.feed, self.last.sources)
        return self._judged.waiting

    def flush(self) -> None:
        """Write counts, totals and window states of what has landed."""
        flush = self.begin_flush()
        self.end_flush(flush, flush.write)

    def begin_flush(self) -> Flush:
        """Take what is to be written; others may land while it is, until `end_flush`."""
        mark = self.watermark
        moved = {w: progress(w, self.sites, self.target.feed, mark) for w in self.states}
        changed = {window for window, state in moved.items() if state != self.states[window]}
        return Flush(self.followers, self.followers.take(), mark, moved, changed)

    def end_flush(self, flush: Flush, written: Callable[[], int | None]) -> None:
        """Learn what was written, or take it back and raise what the writing failed with."""
        try:
            ledger = written()
        except BaseException:
            self.followers.put_back(flush.due)
            raise
        if ledger == self._ledger + 1:  # nobody else has written there
            self._ledger = ledger
        for window, state in flush.moved.items():
            if state == CLOSED:
                self.states.pop(window, None)
            elif window in self.states:  # no night has settled it meanwhile
                self.states[window] = state
        self.keys.forget(windows_frame(w for w in flush.changed if flush.moved[w] == CLOSED))
        note_memory(self.target.feed.feed, len(self.states), self.keys.rows, self.keys.bytes)

    def learn(self) -> None:
        """Read from the lake where this feed stands, and finish what a killed committer began."""
        self.last = replace(self.last, token=STALE)
        self.land([])
        self.flush()

    @property
    def watermark(self) -> int:
        """What windows are complete and closed by, UTC microseconds."""
        return UNKNOWN if self.last.watermark is None else self.last.watermark

    def _decide(self, intervals: list[Interval], now: Snapshot) -> Change | None:
        if self._attempt is not None:
            if now.fence(TOKEN) == self._attempt.token:
                return None  # committed, and only the answer was lost
            self._discard(self._attempt, now)
            self._attempt = None
        replays = now.fence(REPLAYS) or 0
        if (now.fence(TOKEN) or 0) != self.last.token or replays != self._replays:
            self._learn(now, replays)
        unknown = {one.source for one in intervals} - self.last.sources.keys()
        self.last = replace(self.last, sources={**self.last.sources, **landed(now, unknown)})
        self._read_ledger()
        feed = self.target.feed
        known = Known(self.last.sources, self.watermark, self.keys, self._settled)
        judged = self._judged = judge(intervals, known, feed, self.sites, time_ns() // 1000)
        slowest = self._slowest(judged.sources)
        if not self._matters(judged, slowest):
            self.last = replace(self.last, sources=judged.sources, watermark=slowest)
            return None
        self._attempt = self._written(judged, slowest)
        write_landing(self.target.lake, feed.feed, self._attempt)
        return Change(
            self._attempt.files["records"], fences=self._attempt.fences(self.last.sources)
        )

    def _matters(self, judged: Judged, slowest: int | None) -> bool:
        """Tell whether rows or fences moved, or a window became complete or closed."""
        fences = {name: reached.fence for name, reached in judged.sources.items()}
        if any(self.last.sources.get(n, Reached()).fence != at for n, at in fences.items()):
            return True
        feed, mark = self.target.feed, UNKNOWN if slowest is None else slowest
        return any(s and progress(w, self.sites, feed, mark) != s for w, s in self.states.items())

    def _slowest(self, sources: dict[str, Reached]) -> int | None:
        """Return the least watermark; it never goes back, and waits for sources without one."""
        marks = [reached.watermark for reached in sources.values()]
        known = [mark for mark in marks if mark is not None]
        if not known or len(known) < len(marks):
            return self.last.watermark
        return max(min(known), self.watermark)

    def _written(self, judged: Judged, watermark: int | None) -> Landing:
        """Write the files of a landing, and describe it."""
        files: dict[str, list[DataFile]] = {"records": [], "quarantine": []}
        aside = set_aside_rows(judged.aside, self.target) if judged.aside else None
        if judged.rows is not None and judged.rows.num_rows:
            rows = self.target.stamped(judged.rows.drop_columns("_key"))
            files["records"] += write_parts(rows, self.records, self.target, self.target.unlike)
        if aside is not None:
            table = tables.quarantine(self.target.feed.feed)
            files["quarantine"] += write_parts(aside, table, self.target)
        return Landing(
            number=self.last.number + 1,
            run=self.target.run,
            previous=self.last.token,
            sources=judged.sources,
            watermark=watermark,
            files=files,
            counts=window_counts(judged.rows, aside, self.target.feed),
        )

    def _adopt(self, started: float) -> None:
        """Take a landing as done, if there was one, and have the other tables follow."""
        landing, rows = self._attempt, self._judged.rows
        if landing is None:
            return
        self.last = landing
        if rows is not None:
            self.keys.add(rows, self._judged.order)
        self._note_states(landing.counts)
        note_landing(self.target.feed.feed, landing, perf_counter() - started)
        self.followers.follow(landing, rows)

    def _note_states(self, windows: Iterable[Window]) -> None:
        """Note windows whose state is to be written at the next flush."""
        for site, day in windows:
            if site is not None and day is not None and site in self.sites:
                self.states.setdefault((site, day), "")

    def _discard(self, landing: Landing, now: Snapshot) -> None:
        """Delete what a landing wrote that another was before."""
        if (now.fence(NUMBER) or 0) > landing.number:
            return  # it may have been committed, and others after it
        target = self.target
        for name, files in landing.files.items():
            table = self.records if name == "records" else tables.quarantine(target.feed.feed)
            for file in files:
                (table.place(target.lake) / file.path).delete()
        place_of(target.lake, target.feed.feed, landing.number, landing.token).delete()

    def _learn(self, now: Snapshot, replays: int) -> None:
        """Take over what others have landed, and replayed, which no fence of a source tells of."""
        last = self._described(now)
        self._read_ledger()
        replayed = replays != self._replays
        rows = self._open_keys(now, last, {} if replayed else self.last.sources)
        if replayed:
            self.keys = KeyIndex(self.target.feed.key)
        self.keys.add(_hashed(rows))
        self.last, self._replays = replace(last, token=STALE), replays
        self._note_states(rows.select(WINDOW).unique().rows())
        self._note_states(unfinished_windows(self.target.lake, self.target.feed.feed).rows())
        self.followers.catch_up(now)
        for one in self.followers.noted.values():
            self._note_states(one.landing.counts)
        self.last = last

    def _open_keys(
        self, now: Snapshot, last: Landing, known: Mapping[str, Reached]
    ) -> pl.DataFrame:
        """Return the keys of open windows, but for what lies below the fences that are known."""
        feed = self.target.feed
        mine = [
            (pl.col("_source") == source) & (pl.col("_position") < reached.fence)
            for source, reached in known.items()
        ]
        mark = UNKNOWN if last.watermark is None else last.watermark
        recent = pl.col("business_date") >= first_open_date(feed, mark)
        others = (pl.col("_mode") == "stream") & ~pl.any_horizontal(pl.lit(False), *mine)
        stored = pl.scan_delta(now.delta).filter(recent, others)
        windows = stored.select(WINDOW).unique().collect()
        closed = windows_frame(
            w for w in windows.rows() if progress(w, self.sites, feed, mark) == CLOSED
        )
        open_ = windows.join(closed, on=WINDOW, how="anti")
        open_ = open_.join(self._settled, on=WINDOW, how="anti")
        return (
            stored.filter(pl.col("business_date").is_in(open_["business_date"].unique().to_list()))
            .select(self.keys.columns)
            .join(open_.lazy(), on=WINDOW, how="semi")
            .collect()
        )

    def _read_ledger(self) -> None:
        """Learn which windows nights have settled, if the ledger has changed."""
        lake = self.target.lake
        newest = version(lake, tables.WINDOWS)
        if newest is None or newest == self._ledger:
            return
        since = first_open_date(self.target.feed, self.watermark)
        settled = settled_windows(lake, self.target.feed.feed, since)
        self.keys.forget(settled.join(self._settled, on=WINDOW, how="anti"))
        for window in settled.rows():
            self.states.pop(window, None)
        self._settled, self._ledger = settled, newest

    def _described(self, now: Snapshot) -> Landing:
        """Return the newest landing; of one whose description is gone, what the records say."""
        try:
            return newest_landing(self.target.lake, self.target.feed.feed, now)
        except LandingLostError:
            stream = pl.scan_delta(now.delta).filter(pl.col("_mode") == "stream")
            names = stream.select(pl.col("_source").unique()).collect().to_series()
            return Landing(
                number=now.fence(NUMBER) or 0,
                run="",
                sources=landed(now, names),
                watermark=now.fence(WATERMARK),
                token=now.fence(TOKEN) or 0,
            )


def _hashed(keys: pl.DataFrame) -> pa.Table:
    """Return keys with their hashes, as rows carry them."""
    rows = keys.to_arrow()
    return rows.append_column("_key", pa.array(row_hashes(rows, keys.columns)[0]))
