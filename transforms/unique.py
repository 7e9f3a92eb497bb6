"""Unique: one row per key in a window, the others to quarantine as duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from isopach.transforms.batches import concat, frame


class Distinct(NamedTuple):
    """The first row of each key, and the rows that repeat one."""

    kept: pa.Table
    repeated: pa.Table


def distinct(batches: Iterable[pa.RecordBatch], key: Sequence[str]) -> Distinct:
    """Split the batches of a group; of equal keys the first by source and position is kept.

    Rows with different key hashes differ, which is all there is to look at for most of them; the
    keys themselves decide among the others.
    """
    rows = concat(batches)
    again = repeated_rows(rows, key)
    rows = rows.drop_columns("_key")
    if not len(again):
        return Distinct(rows, rows.slice(0, 0))
    return Distinct(without(rows, again).combine_chunks(), rows.take(pa.array(again)))


def without(rows: pa.Table, numbers: NDArray[np.int64]) -> pa.Table:
    """Return the rows but for those with some numbers."""
    if not len(numbers):
        return rows
    keep = np.ones(rows.num_rows, bool)
    keep[numbers] = False
    return rows.filter(pa.array(keep))


def repeated_rows(rows: pa.Table, key: Sequence[str]) -> NDArray[np.int64]:
    """Return the numbers of rows whose key an earlier one has, by source and position."""
    return repeated_among(np.flatnonzero(repeats(rows.column("_key").to_numpy())), rows, key)


def repeated_among(
    suspects: NDArray[np.int64], rows: pa.Table, key: Sequence[str]
) -> NDArray[np.int64]:
    """Return which of some rows have a key that an earlier one of them has."""
    if not len(suspects):
        return suspects
    order = ["_source", "_position"]
    few = frame(rows.select(["site", "business_date", *key, *order]).take(pa.array(suspects)))
    firsts = (
        few.with_columns(row=pl.Series(suspects))
        .sort(order)
        .unique(["site", "business_date", *key], keep="first")
    )
    return np.setdiff1d(suspects, firsts["row"].to_numpy(), assume_unique=True)


def repeats(hashes: np.ndarray) -> np.ndarray:
    """Tell which hashes occur more than once."""
    ordered = np.sort(hashes)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return np.zeros(len(hashes), bool)
    return pl.Series(hashes).is_in(pl.Series(np.unique(twice)).implode()).to_numpy()
