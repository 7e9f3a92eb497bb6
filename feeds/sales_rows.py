"""The sales of one store on one business date, drawn at random: columns, and Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isopach.feeds.days import day_bounds

FILE_ROWS = 1_000_000
SKUS = 2_000
CUSTOMERS = 50_000
DUPLICATE_RATE = 0.001
NULL_SKU_RATE = 0.0005
NULL_CUSTOMER_RATE = 0.3

# Sales per hour of the local day, as shares: few at night, peaks at noon and after work.
HOURS = np.array(
    [1, 1, 1, 1, 1, 2, 6, 12, 20, 26, 32, 40, 48, 44, 36, 34, 40, 52, 56, 44, 28, 14, 6, 2]
)
SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string()),
        pa.field("store", pa.string()),
        pa.field("sold_at", pa.timestamp("us", tz="UTC")),
        pa.field("sku", pa.string()),
        pa.field("quantity", pa.int32()),
        pa.field("unit_price", pa.decimal128(10, 2)),
        pa.field("customer", pa.string()),
    ]
)


@dataclass(frozen=True)
class Sales:
    """One store's rows in file order; `event` numbers the events, a repeated row shares it."""

    store: str
    day: date
    event: NDArray[np.int64]
    sold_at: NDArray[np.int64]  # UTC microseconds
    sku: NDArray[np.uint16]  # SKUS means null
    quantity: NDArray[np.uint8]
    customer: NDArray[np.int32]  # -1 means null
    duplicates: NDArray[np.int64]  # indices of the rows that repeat an earlier one
    null_skus: NDArray[np.int64]  # indices of the rows without sku


def draw(
    store: str,
    day: date,
    zone: str,
    rows: int,
    rng: np.random.Generator,
    *,
    first: int = 0,
    dirt: bool = True,
) -> Sales:
    """Draw a store's sales within one site-local day, events numbered from `first`."""
    repeats = int(rng.binomial(rows - 1, DUPLICATE_RATE)) if dirt else 0
    events = rows - repeats
    event, duplicates = _arrange(rows, repeats, rng)
    sku = _draw_from(SKU_SHARES, events, rng).astype(np.uint16)
    nulls = rng.choice(events, int(rng.binomial(events, NULL_SKU_RATE)) if dirt else 0, False)
    nulls = np.setdiff1d(nulls, event[duplicates])
    sku[nulls] = SKUS
    quantity = _draw_from(QUANTITY_SHARES, events, rng).astype(np.uint8) + np.uint8(1)
    customer = rng.integers(1, CUSTOMERS, events, dtype=np.int32)
    customer[rng.random(events, dtype=np.float32) < NULL_CUSTOMER_RATE] = -1
    return Sales(
        store=store,
        day=day,
        event=event + first,
        sold_at=_instants(day, zone, events, rng)[event],
        sku=sku[event],
        quantity=quantity[event],
        customer=customer[event],
        duplicates=duplicates,
        null_skus=np.flatnonzero(np.isin(event, nulls)) if len(nulls) else nulls,
    )


def _arrange(
    rows: int, repeats: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each row's event and the indices of rows that repeat one from before them."""
    event = np.arange(rows, dtype=np.int64)
    if not repeats:
        return event, np.empty(0, np.int64)
    duplicates = np.sort(rng.choice(rows - 1, repeats, replace=False)) + 1
    mark = np.zeros(rows, np.int64)
    mark[duplicates] = 1
    event -= np.cumsum(mark)
    event[duplicates] = rng.integers(0, event[duplicates] + 1)
    return event, duplicates


def _instants(day: date, zone: str, events: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw ascending UTC microseconds along the day curve; sums of exponentials need no sort."""
    start, end = day_bounds(day, zone)
    steps = np.cumsum(rng.standard_exponential(events + 1))
    cumulated = np.concatenate([[0], np.cumsum(HOURS)]) / HOURS.sum()
    share = np.interp(steps[:-1] / steps[-1], cumulated, np.linspace(0, 1, len(cumulated)))
    instants: NDArray[np.int64] = np.minimum(
        start + (share * (end - start)).astype(np.int64), end - 1
    )
    return instants


def _shares(weights: NDArray[Any]) -> NDArray[np.int64]:
    """Return a table of 65,536 outcomes in proportion to the weights: one look-up per draw."""
    points = (np.arange(1 << 16) + 0.5) / (1 << 16)
    return np.searchsorted(np.cumsum(weights) / weights.sum(), points)


def _draw_from(table: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw outcomes from a table of `_shares`."""
    return table[rng.integers(0, 1 << 16, count, dtype=np.uint16)]


def tables(sales: Sales, prices: pa.Array, *, file_rows: int = FILE_ROWS) -> Iterator[pa.Table]:
    """Yield the rows as Arrow tables of at most `file_rows` rows."""
    for start in range(0, len(sales.event), file_rows):
        yield table(sales, prices, start, start + file_rows)


def table(sales: Sales, prices: pa.Array, start: int = 0, stop: int | None = None) -> pa.Table:
    """Return rows `[start, stop)` as one Arrow table of `SCHEMA`, strings dictionary-encoded."""
    part = slice(start, stop)
    code = sales.sku[part]
    sku = pa.array(code, mask=code == SKUS)
    rows = len(code)
    columns = [
        event_ids(sales.store, sales.day, sales.event[part]),
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), [sales.store]),
        pa.array(sales.sold_at[part]).cast(SCHEMA.field("sold_at").type),
        pa.DictionaryArray.from_arrays(sku, NAMES),
        pa.array(sales.quantity[part].astype(np.int32)),
        prices.take(pa.array(code)),
        _numbered("C", 7, sales.customer[part].clip(0), sales.customer[part] < 0),
    ]
    return pa.table(columns, names=SCHEMA.names)


def event_ids(store: str, day: date, events: NDArray[np.int64]) -> pa.Array:
    """Return ids such as `S001-20260308-00000042`, unique within store and date."""
    return _numbered(f"{store}-{day:%Y%m%d}-", 8, events)


def price_list(seed: int) -> pa.Array:
    """Return the price of each sku, decimal(10,2); one more for rows whose sku is null."""
    cents = np.random.default_rng([seed, SKUS]).lognormal(6.5, 0.9, SKUS + 1).astype(int) + 49
    prices = [Decimal(int(c)).scaleb(-2) for c in cents]
    return pa.array(prices, SCHEMA.field("unit_price").type)


def _numbered(
    prefix: str, digits: int, numbers: NDArray[np.integer], null: NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return strings of one width, prefix and zero-padded number, laid out as Arrow holds them."""
    head = np.frombuffer(prefix.encode(), np.uint8)
    text = np.empty((len(numbers), len(head) + digits), np.uint8)
    text[:, : len(head)] = head
    rest = numbers.astype(np.uint32)
    for place in range(text.shape[1] - 1, len(head) - 1, -1):
        rest, digit = np.divmod(rest, np.uint32(10))
        text[:, place] = digit + np.uint32(ord("0"))
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * text.shape[1]
    valid = None if null is None else pa.py_buffer(np.packbits(~null, bitorder="little"))
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.StringArray.from_buffers(len(numbers), buffers[1], buffers[2], buffers[0])


SKU_SHARES = _shares(1 / np.arange(1, SKUS + 1))
QUANTITY_SHARES = _shares(0.55 ** np.arange(9))
NAMES = _numbered("SKU-", 5, np.arange(1, SKUS + 1))
