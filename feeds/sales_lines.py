"""The text of sales events: one JSON line each, glued from tables of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from isopach.feeds.days import EPOCH
from isopach.feeds.sales_rows import CUSTOMERS, SKUS, price_list

DAY, MINUTE, QUARTER = 86_400_000_000, 60_000_000, 900_000_000
QUARTERS = 4 * 15  # no offset from UTC is larger than 15 hours
QUANTITIES = 10
BROKEN = "\ufdd0"
"""What stands for a byte that is not UTF-8 in a line that is text: a character no text has."""


@dataclass(frozen=True)
class Texts:
    """The parts of lines: what belongs to a store, a sku with its price, or a customer."""

    stores: tuple[str, ...]  # by code; the last one is of no registry
    zones: tuple[str, ...]
    zone_of: NDArray[np.int64]  # the zone of each store
    heads: pl.Series
    names: pl.Series
    items: pl.Series
    customers: pl.Series


def texts(stores: tuple[str, ...], zones: tuple[str, ...], seed: int) -> Texts:
    """Return the parts of lines for stores in their zones, with the prices of a seed."""
    known = tuple(dict.fromkeys(zones))
    return Texts(
        stores=stores,
        zones=known,
        zone_of=np.array([known.index(zone) for zone in zones]),
        heads=_column(f"{store}-" for store in stores),
        names=_column(f'","store":"{store}","sold_at":"' for store in stores),
        items=_column(_items(seed)),
        customers=_column([*(f'"C{n:07}"}}' for n in range(CUSTOMERS)), "null}"]),
    )


def _items(seed: int) -> list[str]:
    """Return sku, quantity and price; ten quantities for each sku, and for none."""
    skus = [*(f'"SKU-{n:05}"' for n in range(1, SKUS + 1)), "null"]
    prices = price_list(seed).to_pylist()
    return [
        f'","sku":{sku},"quantity":{quantity},"unit_price":"{price}","customer":'
        for sku, price in zip(skus, prices, strict=True)
        for quantity in range(QUANTITIES)
    ]


def lines(rows: pl.DataFrame, texts: Texts) -> pl.Series:
    """Return each row as a JSON line, its time with the offset of its store's zone."""
    sold_at = rows["sold_at"].to_numpy()
    named = rows["store"].to_numpy()
    offset = offsets(rows, texts)
    day, within = np.divmod(sold_at + offset * QUARTER, DAY)
    minute, rest = np.divmod(within, MINUTE)
    millis, micros = np.divmod(rest, 1000)
    unknown = (rows["kind"] == "unknown_store").to_numpy()
    item = rows["sku"].to_numpy().astype(np.int64) * QUANTITIES + rows["quantity"].to_numpy()
    return _glued(
        _repeated('{"event_id":"', rows.height),
        *_id_parts(rows, texts),
        texts.names.gather(np.where(unknown, len(texts.stores) - 1, named)),
        _days(day, "%Y-%m-%dT"),
        MINUTES.gather(minute),
        MILLIS.gather(millis),
        THREE.gather(micros),
        OFFSETS.gather(offset + QUARTERS),
        texts.items.gather(item),
        texts.customers.gather(np.where(rows["customer"] < 0, CUSTOMERS, rows["customer"])),
    )


def event_ids(rows: pl.DataFrame, texts: Texts) -> pl.Series:
    """Return ids such as `S001-20260308-00000042`, as the lines have them."""
    return _glued(*_id_parts(rows, texts))


def _id_parts(rows: pl.DataFrame, texts: Texts) -> tuple[pl.Series, ...]:
    thousands, rest = np.divmod(rows["event"].to_numpy(), 10_000)
    return (
        texts.heads.gather(rows["store"]),
        _days(rows["day"].to_numpy(), "%Y%m%d-"),
        FOUR.gather(thousands),
        FOUR.gather(rest),
    )


def local_days(rows: pl.DataFrame, texts: Texts) -> NDArray[np.int64]:
    """Return the site-local date of each row's time, in days since 1970."""
    return (rows["sold_at"].to_numpy() + offsets(rows, texts) * QUARTER) // DAY


def offsets(rows: pl.DataFrame, texts: Texts) -> NDArray[np.int64]:
    """Return each row's local offset from UTC in quarters of an hour.

    Offsets are whole quarters and change only at whole quarters, so each is looked up once for
    every zone and quarter that occurs.
    """
    if not rows.height:
        return np.zeros(0, np.int64)
    quarter = rows["sold_at"].to_numpy() // QUARTER
    first = int(quarter.min())
    span = int(quarter.max()) - first + 1
    place = texts.zone_of[rows["store"].to_numpy()] * span + (quarter - first)
    table = np.zeros(len(texts.zones) * span, np.int64)
    table[place] = 1
    for used in np.flatnonzero(table).tolist():
        table[used] = _offset(texts.zones[used // span], first + used % span)
    return table[place]


@lru_cache(maxsize=1 << 16)
def _offset(zone: str, quarter: int) -> int:
    offset = datetime.fromtimestamp(quarter * 900, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return (offset or timedelta()) // timedelta(minutes=15)


def _days(days: NDArray[np.int64], form: str) -> pl.Series:
    """Return dates as text; there are few different ones."""
    if not len(days):
        return _column([])
    first, last = int(days.min()), int(days.max())
    table = _column(f"{EPOCH + timedelta(days=day):{form}}" for day in range(first, last + 1))
    return table.gather(days - first)


def _glued(*parts: pl.Series) -> pl.Series:
    frame = pl.DataFrame([part.alias(str(number)) for number, part in enumerate(parts)])
    return frame.select(pl.concat_str(pl.all()).alias("line")).to_series()


def _repeated(text: str, rows: int) -> pl.Series:
    return pl.repeat(text, rows, dtype=pl.String, eager=True)


def _column(values: object) -> pl.Series:
    return pl.Series(list(values), dtype=pl.String)  # type: ignore[call-overload]


def _offset_text(quarters: int) -> str:
    hours, rest = divmod(abs(quarters), 4)
    return f"{'-' if quarters < 0 else '+'}{hours:02}:{rest * 15:02}"


THREE = _column(f"{n:03}" for n in range(1_000))
FOUR = _column(f"{n:04}" for n in range(10_000))
MINUTES = _column(f"{n // 60:02}:{n % 60:02}:" for n in range(24 * 60))
MILLIS = _column(f"{n // 1000:02}.{n % 1000:03}" for n in range(60_000))
OFFSETS = _column(_offset_text(n) for n in range(-QUARTERS, QUARTERS + 1))
