"""The stores' sales as events of a stream: the same as in their deliveries, in order of arrival."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from isopach.feeds.days import EPOCH, day_start
from isopach.feeds.sales_event_faults import (
    KIND,
    add_faults,
    choose_dead,
    damage,
    noon,
    silence,
)
from isopach.feeds.sales_event_truth import StreamTruth, expected
from isopach.feeds.sales_lines import Texts, lines, texts
from isopach.feeds.sales_rows import Sales
from isopach.feeds.sales_stores import SITES, Shape, active_stores, draw_stores, rows_per_store

UNKNOWN = "X999"
ODD = pl.col("kind") != "plain"
DAMAGED = ["malformed", "cut_off", "html", "bad_utf8"]


@dataclass(frozen=True)
class Plan:
    """What events are made of: how many, of which seed, with which faults, for which partitions.

    `binary` adds lines with a byte that is not UTF-8, for logs that carry bytes; `dead` are sites
    that send nothing.
    """

    rows: int = 200_000
    shape: Shape = "zipf"
    seed: int = 7
    faults: bool = False
    partitions: int = 4
    sites: Path = SITES
    dead: Collection[str] = ()
    binary: bool = False


@dataclass(frozen=True)
class Events:
    """Events in order of arrival, as numbers; `absent` are those that should have come too.

    `rows` has `partition`, and `position` within it.
    """

    rows: pl.DataFrame
    absent: pl.DataFrame
    texts: Texts

    def __len__(self) -> int:
        return self.rows.height

    def lines(self) -> pl.Series:
        """Return the events as JSON lines."""
        found = lines(self.rows, self.texts)
        kinds = self.rows["kind"]
        return damage(found, kinds) if kinds.is_in(DAMAGED).any() else found

    def slice(self, first: int, rows: int) -> Events:
        """Return some of the events."""
        return replace(self, rows=self.rows[first : first + rows], absent=self.absent.clear())

    def by_partition(self) -> Iterator[tuple[int, Events]]:
        """Yield each partition with its events, ascending."""
        for partition in self.rows["partition"].unique().sort().to_list():
            rows = self.rows.filter(partition=partition)
            yield partition, replace(self, rows=rows, absent=self.absent.clear())

    def arriving(self, moment: int) -> Events:
        """Return the events moved in time so that all arrive at a moment, in UTC microseconds.

        What came at once has that moment for its event time; what was delayed stays as delayed,
        and ids stay as they are.
        """
        sold_at = moment - (pl.col("arrival") - pl.col("sold_at"))
        moved = self.rows.with_columns(sold_at=sold_at, arrival=pl.lit(moment))
        return replace(self, rows=moved)

    def truth(self) -> StreamTruth:
        """Return what is expected of the events."""
        odd = pl.concat([self.rows.filter(ODD), self.absent])
        return expected(len(self), odd, self.texts)


class _Day(NamedTuple):
    sent: pl.DataFrame
    absent: pl.DataFrame


def day_events(
    day: date,
    *,
    rows: int = 200_000,
    shape: Shape = "zipf",
    seed: int = 7,
    faults: bool = False,
    partitions: int = 4,
    sites: Path = SITES,
    dead: Collection[str] = (),
    binary: bool = False,
) -> Events:
    """Return all stores' events of a business date, in order of arrival.

    They are the sales that `write_night` delivers, each once; a store's are in one partition.
    """
    plan = Plan(rows, shape, seed, faults, partitions, sites, dead, binary)
    (events,) = replay([day], plan)
    return events


def replay(days: Iterable[date], plan: Plan) -> Iterator[Events]:
    """Yield the events of dates, in order of arrival over all of them.

    While it is one date in the east, it is another in the west: a part holds what arrives before
    the date after it begins anywhere, and the rest of a date comes with the dates after it.
    """
    dates = sorted(set(days))
    if plan.partitions < 1:
        raise ValueError(f"partitions={plan.partitions}: give at least 1")
    if not dates:
        raise ValueError("no dates to replay: give at least 1")
    made = _texts(plan)
    ends = np.zeros(plan.partitions, np.int64)
    rest: list[pl.DataFrame] = []
    for day, following in zip_longest(dates, dates[1:]):
        sent, absent = _day(day, plan, made)
        rows = pl.concat([*rest, sent]).sort("arrival", maintain_order=True)
        if following is not None:
            begins = min(day_start(following, zone) for zone in made.zones)
            rest = [rows.filter(pl.col("arrival") >= begins)]
            rows = rows.filter(pl.col("arrival") < begins)
        rows = _placed(rows, ends, made)
        absent = _placed(absent, ends, made).with_columns(position=pl.lit(None, pl.Int64))
        ends += np.bincount(rows["partition"], minlength=plan.partitions)
        yield Events(rows, absent, made)


def _texts(plan: Plan) -> Texts:
    """Return the parts of lines for all registered stores, and one that is not."""
    registry = pl.read_csv(plan.sites, columns=["site", "time_zone"], infer_schema=False)
    unknown = set(plan.dead) - set(registry["site"])
    if unknown:
        raise ValueError(f"dead site {min(unknown)!r} is not in {plan.sites}: give one that is")
    stores = (*registry["site"], UNKNOWN)
    return texts(stores, (*registry["time_zone"], "UTC"), plan.seed)


def _day(day: date, plan: Plan, made: Texts) -> _Day:
    """Return the rows of a date, not in order: those that are sent, and those that are not."""
    stores = active_stores(plan.sites, day)
    codes = [made.stores.index(store) for store in stores["site"]]
    sizes = rows_per_store(stores.height, plan.rows, plan.shape, plan.seed)
    drawn = draw_stores(stores, sizes, day, plan.seed)
    rows = pl.concat(_rows(one.sales, code) for code, one in zip(codes, drawn, strict=True))
    since = {code: ("never_sent", 0) for code in codes if made.stores[code] in plan.dead}
    if plan.faults:
        spared = [index for index, code in enumerate(codes) if code in since]
        never, silent = choose_dead(sizes, plan.seed, day, spared)
        since[codes[never]] = ("never_sent", 0)
        since[codes[silent]] = ("silent_from_noon", noon(day, stores["time_zone"][silent]))
    sent, absent = silence(rows, since)
    if plan.faults:
        sent = add_faults(sent, day, plan.seed, made, binary=plan.binary)
    return _Day(sent, absent)


def _rows(sales: Sales, code: int) -> pl.DataFrame:
    """Return a store's sales, each once; each arrives the moment it is sold."""
    once = np.ones(len(sales.event), bool)
    once[sales.duplicates] = False
    null_sku = np.zeros(len(sales.event), bool)
    null_sku[sales.null_skus] = True
    return pl.DataFrame(
        {
            "day": np.full(len(once), (sales.day - EPOCH).days, np.int32),
            "store": np.full(len(once), code, np.uint16),
            "event": sales.event,
            "sold_at": sales.sold_at,
            "arrival": sales.sold_at,
            "sku": sales.sku,
            "quantity": sales.quantity,
            "customer": sales.customer,
            "kind": pl.Series(null_sku.astype(np.uint8)).cat.to(KIND),
        }
    ).filter(once)


def _placed(rows: pl.DataFrame, ends: np.ndarray, made: Texts) -> pl.DataFrame:
    """Add each row's partition, by a stable hash of the store it names, and its position there."""
    hashed = np.array([zlib.crc32(store.encode()) % len(ends) for store in made.stores])
    unknown = (rows["kind"] == "unknown_store").to_numpy()
    partition = hashed[np.where(unknown, len(hashed) - 1, rows["store"].to_numpy())]
    rows = rows.with_columns(partition=pl.Series(partition), before=pl.Series(ends[partition]))
    within = pl.int_range(pl.len()).over("partition")
    return rows.with_columns(position=within + pl.col("before")).drop("before")
