"""The tables that follow the records of a replay: quarantine, counts, totals, window states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial

import polars as pl

from isopach.feeds.feed import Feed
from isopach.feeds.sites import Sites
from isopach.lake import tables
from isopach.lake.commits import Active, Change, Snapshot, commit, newest, scan
from isopach.lake.files import DataFile
from isopach.lake.landings import WATERMARK, Window
from isopach.lake.places import Place
from isopach.lake.replace import read_file, revise, write_rows
from isopach.lake.replays import (
    ASIDE,
    BATCH,
    Brought,
    Part,
    folder_of,
    read_parts,
    replay_fence,
    rows_of,
)
from isopach.lake.tables import Table
from isopach.lake.windows import checksum_text, windows_frame
from isopach.pipelines.provisional import FIGURES, WINDOW, record_states, tally_of
from isopach.pipelines.replay import CHUNK_ROWS, batches_of
from isopach.pipelines.replay_totals import add_totals
from isopach.transforms.counts import Tally, add_tallies
from isopach.transforms.lateness import UNKNOWN
from isopach.transforms.quarantine import REJECTED

KEY = [name for name in ASIDE if name != "business_date"]


def follow(lake: Place, feed: Feed, sites: Sites, run: str) -> None:
    """Bring each table to what the records have of a replay, each part once.

    Doing it again changes nothing, whoever does it.
    """
    records = newest(lake, tables.records(feed.feed, feed.payload))
    folder = folder_of(lake, feed.feed, run)
    parts = read_parts(folder, records, run)
    if records is None or not parts:
        return
    _mark_replayed(lake, feed, run, folder, parts)
    _add_counts(lake, feed, run, parts)
    for name in feed.totals:
        add_totals(lake, feed, name, run, folder, parts)
    streamed = {(one.site, one.day) for one in _of(parts, batch=False)}
    mark = records.fence(WATERMARK)
    record_states(lake, feed, sites, streamed, UNKNOWN if mark is None else mark, {})
    _restate_nights(lake, feed, _of(parts, batch=True), records.version)


def _of(parts: Sequence[Part], batch: bool) -> list[Brought]:
    return [one for part in parts for one in part.brought if (one.mode == BATCH) == batch]


def _mark_replayed(lake: Place, feed: Feed, run: str, folder: Place, parts: Sequence[Part]) -> None:
    """Say in quarantine by which run rows were replayed, a business date at a time."""
    table = tables.quarantine(feed.feed)
    for day in sorted({b.counted_day for p in parts for b in p.brought}, key=str):
        some = [p for p in parts if any(b.counted_day == day for b in p.brought)]
        rows = [
            rows_of(folder, part).filter(pl.col("business_date").eq_missing(day)) for part in some
        ]
        commit(lake, table, partial(_marked, lake, table, run, day, pl.concat(rows)))


def _marked(
    lake: Place, table: Table, run: str, day: date | None, rows: pl.DataFrame, now: Snapshot
) -> Change | None:
    """Return the change that marks rows of one date."""
    add: list[DataFile] = []
    remove = []
    for file in now.files:
        if file.partition["business_date"] != (day.isoformat() if day else None):
            continue
        columns = [*KEY, "disposition", "replayed_run"]
        if _with_mark(read_file(lake, table, file, columns), rows, run) is not None:
            add += _marked_parts(lake, table, file, rows, run)
            remove.append(file)
    return Change(add, remove) if add else None


def _marked_parts(
    lake: Place, table: Table, file: Active, rows: pl.DataFrame, run: str
) -> Iterator[DataFile]:
    """Write a file anew with some of its rows marked, a bounded number of rows at a time."""
    gathered: list[pl.DataFrame] = []
    for batch in batches_of(lake, table, file):
        marked = _with_mark(batch, rows, run)
        gathered.append(batch if marked is None else marked)
        if sum(part.height for part in gathered) >= CHUNK_ROWS:
            yield write_rows(lake, table, pl.concat(gathered))
            gathered = []
    if gathered:
        yield write_rows(lake, table, pl.concat(gathered))


def _with_mark(batch: pl.DataFrame, rows: pl.DataFrame, run: str) -> pl.DataFrame | None:
    """Return rows of quarantine with those marked that a replay brought; None if it was none."""
    still = (pl.col("disposition") == REJECTED) & pl.col("replayed_run").is_null()
    numbered = batch.select(*KEY, "disposition", "replayed_run").with_row_index("_row")
    hits = numbered.filter(still).join(rows, on=KEY, how="semi")["_row"]
    if hits.is_empty():
        return None
    hit = pl.int_range(pl.len()).is_in(hits.cast(pl.Int64).implode())
    return batch.with_columns(replayed_run=pl.when(hit).then(pl.lit(run)).otherwise("replayed_run"))


def _add_counts(lake: Place, feed: Feed, run: str, parts: Sequence[Part]) -> None:
    """Write a row of counts for each window: what was rejected there is accepted.

    Rows whose window was not known are read in their own now, and no more where they were counted.
    """
    sums: dict[tuple[Window, str, str | None], Counts] = defaultdict(Counts)
    for one in (one for part in parts for one in part.brought):
        counted, own = (one.counted_site, one.counted_day), (one.site, one.day)
        moved = one.rows if counted != own else 0
        sums[counted, one.mode, one.run].add({"read": -moved, "rejected": -one.rows})
        sums[own, one.mode, one.run].add({"read": moved, "accepted": one.rows}, one)
    rows = [
        {
            "run": run,
            "feed": feed.feed,
            "mode": mode,
            "site": site,
            "business_date": day,
            **counts.figures,
            "checksum": checksum_text(*counts.checksum),
            "replay_of": night,
        }
        for ((site, day), mode, night), counts in sums.items()
    ]
    fresh = pl.DataFrame(rows, schema=tables.empty_frame(tables.COUNTS.schema).schema)

    def change(now: Snapshot, _: pl.DataFrame) -> pl.DataFrame | None:
        return None if (now.fence(replay_fence(run)) or 0) >= len(parts) else fresh

    keys = fresh.select("run", *WINDOW)
    revise(lake, tables.COUNTS, keys, change, {replay_fence(run): len(parts)})


class Counts:
    """What a replay adds to the counts of a window."""

    def __init__(self) -> None:
        self.figures = dict.fromkeys(FIGURES, 0)
        self.checksum = [0, 0]

    def add(self, figures: Mapping[str, int], accepted: Brought | None = None) -> None:
        for name, rows in figures.items():
            self.figures[name] += rows
        if accepted is not None:
            both = zip(self.checksum, (accepted.checksum_a, accepted.checksum_b), strict=True)
            self.checksum = [(a + b) % 2**64 for a, b in both]


def _restate_nights(lake: Place, feed: Feed, brought: Iterable[Brought], version: int) -> None:
    """Write rows and checksums of settled windows: what their night and its replays accepted.

    They follow from the counts and not from the records, so that a record that is gone is missed.
    """
    nights = {(one.site, one.day): one.run for one in brought}
    if not nights:
        return
    moment = datetime.now(UTC)

    def change(_: Snapshot, old: pl.DataFrame) -> pl.DataFrame | None:
        sums = _accepted(lake, feed.feed, sorted({day for _, day in nights}))
        rows = []
        for row in old.iter_rows(named=True):
            window = (row["site"], row["business_date"])
            tally = sums.get((*window, row["settled_by"]))
            if row["settled_by"] == nights[window] and tally is not None:
                checksum = checksum_text(tally.checksum_a, tally.checksum_b)
                fresh = {"rows": tally.accepted + (row["kept"] or 0), "checksum": checksum}
                if fresh.items() - row.items():
                    row |= {**fresh, "version": version, "updated": moment}
            rows.append(row)
        new = pl.DataFrame(rows, schema=old.schema)
        return None if new.equals(old) else new

    revise(lake, tables.WINDOWS, windows_frame(nights).with_columns(feed=pl.lit(feed.feed)), change)


def _accepted(lake: Place, feed: str, days: Sequence[date]) -> dict[tuple[str, date, str], Tally]:
    """Return what nights counted, and the replays of each with it, by site, date and night."""
    chosen = pl.col("business_date").is_in(list(days)) & (pl.col("feed") == feed)
    counts = scan(lake, tables.COUNTS).filter(chosen, pl.col("mode") == BATCH).collect()
    sums: dict[tuple[str, date, str], Tally] = {}
    for row in counts.iter_rows(named=True):
        key = (row["site"], row["business_date"], row["replay_of"] or row["run"])
        sums[key] = add_tallies([sums.get(key, Tally()), tally_of(row)])
    return sums
