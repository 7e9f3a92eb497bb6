"""Replay: rejected rows of quarantine through today's rules, a bounded number at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from time import time_ns
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from isopach.feeds.feed import Feed
from isopach.feeds.rules import Rule
from isopach.feeds.sites import Sites
from isopach.lake import tables
from isopach.lake.commits import Active, newest
from isopach.lake.places import Place
from isopach.lake.tables import Table
from isopach.pipelines.json_lines import NOT_JSON, decode_json
from isopach.pipelines.provisional import WINDOW
from isopach.transforms.batches import concat, frame, repeated, with_column
from isopach.transforms.lateness import early_mark
from isopach.transforms.prepare import Arrival, prepare
from isopach.transforms.quarantine import REJECTED
from isopach.transforms.stamp import encoded, window_bounds

CHUNK_ROWS = 250_000
"""Rows of quarantine in memory at a time."""
BATCH_ROWS = 1 << 16
CANDIDATE = ["reason", "column", "raw", "site", "business_date"]
ORIGIN = ["_mode", "_source", "_position", "_run"]


@dataclass(frozen=True)
class Choice:
    """Which rows are replayed: of one business date, of some sites, rejected for one reason.

    With a date or with sites, rows are left out of which these were not known.
    """

    day: date | None = None
    sites: tuple[str, ...] = ()
    reason: str | None = None

    def where(self) -> pl.Expr:
        """Return the condition on rows of quarantine that are still set aside."""
        chosen = (
            (pl.col("disposition") == REJECTED)
            & pl.col("replayed_run").is_null()
            & pl.col("raw").is_not_null()
        )
        if self.day is not None:
            chosen &= pl.col("business_date") == self.day
        if self.sites:
            chosen &= pl.col("site").is_in(list(self.sites))
        return chosen if self.reason is None else chosen & (pl.col("reason") == self.reason)


class Passed(NamedTuple):
    """What today's rules say of some rows: those they accept, and why not the others.

    `origin` has where each accepted row stands in quarantine, row by row.
    """

    rows: pa.Table | None
    origin: pl.DataFrame
    rejected: Counter[str]


def candidates(lake: Place, feed: str, choice: Choice) -> Iterator[pl.DataFrame]:
    """Yield the rows of quarantine that may be replayed, CHUNK_ROWS or few more at a time."""
    table = tables.quarantine(feed)
    now = newest(lake, table)
    gathered, rows = [], 0
    for file in sorted(now.files) if now else ():
        day = file.partition["business_date"]
        if choice.day is not None and day != choice.day.isoformat():
            continue
        for batch in batches_of(lake, table, file):
            found = batch.filter(choice.where()).select(CANDIDATE + ORIGIN)
            gathered.append(found)
            rows += found.height
            if rows >= CHUNK_ROWS:
                yield pl.concat(gathered)
                gathered, rows = [], 0
    if rows:
        yield pl.concat(gathered)


def batches_of(lake: Place, table: Table, file: Active) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file, which may be too large to be held whole."""
    place = table.place(lake) / file.path
    schema = tables.empty_frame(table.schema).schema
    day = file.partition["business_date"]
    partition = {"business_date": date.fromisoformat(day) if day else None}
    with pq.ParquetFile(place.path, filesystem=place.filesystem) as stored:
        for batch in stored.iter_batches(BATCH_ROWS, use_threads=False):
            rows = frame(batch)
            absent = {name: None for name in schema if name not in rows.columns}
            given = [pl.lit(v, schema[n]).alias(n) for n, v in {**absent, **partition}.items()]
            yield rows.with_columns(given).select(pl.col(n).cast(k) for n, k in schema.items())


def passed(
    chunk: pl.DataFrame, feed: Feed, sites: Sites, rules: list[Rule], now: int | None = None
) -> Passed:
    """Return what today's rules say of rows of quarantine.

    A row keeps the window that it was counted in, as far as that was known: a delivered row of
    another date than its delivery's is rejected as it was, and so is a row of days to come.

    Args:
        now: the clock, UTC microseconds.
    """
    chunk = chunk.sort("_source", "_position")
    good, reasons = _prepared(chunk, feed, sites, rules)
    if good is None:
        return Passed(None, chunk.clear(), reasons)
    origin = chunk[good.column("_position").to_numpy()]
    why = _still_wrong(good, origin, feed, sites, now or time_ns() // 1000)
    reasons.update(why.drop_nulls().to_list())
    free = why.is_null()
    rows, origin = good.filter(free.to_arrow()), origin.filter(free)
    if origin.is_empty():
        return Passed(None, origin, reasons)
    stamps = pa.schema({n: tables.ORIGIN[n] for n in ("_mode", "_source", "_position")})
    stamped = origin.select(stamps.names).to_arrow().cast(stamps)
    rows = rows.drop_columns(["_source", "_position", "_key"])
    for name in stamps.names:
        rows = rows.append_column(name, stamped.column(name))
    return Passed(rows.combine_chunks(), origin, reasons)


def _prepared(
    chunk: pl.DataFrame, feed: Feed, sites: Sites, rules: list[Rule]
) -> tuple[pa.Table | None, Counter[str]]:
    """Prepare originals; of good rows `_position` is their number in the chunk."""
    good, reasons, at = [], Counter[str](), 0
    for batch in decode_json(chunk["raw"], feed):
        numbers = np.arange(at, at := at + batch.num_rows)
        batch = with_column(batch, "_source", repeated("", batch.num_rows))
        batch = with_column(batch, "_position", pa.array(numbers))
        outcome = prepare(Arrival(None, None, batch), feed, sites, rules)
        if outcome.accepted.num_rows:
            good.append(outcome.accepted)
        if outcome.quarantined is not None:
            aside = frame(outcome.quarantined.select(["reason", "_position"]))
            before = chunk["reason"][aside["_position"]]
            unread = aside["reason"] == NOT_JSON  # as is a line of CSV with a field too many
            reasons.update(aside["reason"].zip_with(~unread, before).to_list())
    return (concat(good) if good else None), reasons


def _still_wrong(
    rows: pa.Table, origin: pl.DataFrame, feed: Feed, sites: Sites, now: int
) -> pl.Series:
    """Return why rows that the rules accept by themselves stay set aside; null if they do not."""
    own = frame(rows.select(WINDOW))
    days = rows.column("business_date").combine_chunks().view(pa.int32()).to_numpy(False)
    starts, _ = window_bounds(encoded(rows.column("site").combine_chunks()), days, sites)
    texts = [name for name, column in feed.columns.items() if column.type == "string"]
    judged = origin.with_columns(
        own_site=own["site"], own_day=own["business_date"], early=pl.Series(starts > now)
    )
    streamed, day = pl.col("_mode") == "stream", pl.col("business_date")
    # Text fits text: what does not was bytes or nested, of which the original shows a likeness.
    unlike = (pl.col("reason") == "malformed") & pl.col("column").is_in(texts)
    return judged.select(
        pl.when(unlike)
        .then("reason")
        .when(pl.col("site") != pl.col("own_site"))
        .then(pl.lit("other_site"))
        .when(pl.col("own_day") < day)
        .then(pl.lit("earlier_business_date"))
        .when((pl.col("own_day") > day) | (streamed & pl.col("early")))
        .then(pl.lit(early_mark(feed).reason))
        .alias("why")
    ).to_series()
