"""Stable hashes of rows, and checksums that do not depend on their order.

A column's hash is XXH3 (Collet, xxhash.com, 64 bits) of a text's UTF-8 bytes, and the murmur3
finaliser `fmix64` (Appleby, 2011) of any other value's bits; null hashes to zero. A row's hash is
`fmix64` of the columns' hashes, each times an odd constant drawn from the column's name and the
seed; so the order of the columns does not matter, and a column added later, null in older rows,
leaves their hashes as they were. A checksum is the sum of the rows' hashes modulo 2^64, for two
seeds: equal sets of rows give equal checksums in any batching, on any engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import polars_hash as plh
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

BLOCK = 1 << 16
"""Rows hashed at a time, so that the intermediate arrays stay in the processor's cache."""


def row_hashes(data: pa.RecordBatch | pa.Table, columns: Sequence[str], seeds: int = 1) -> Hashes:
    """Return the hashes of rows over some columns, an array of shape (seeds, rows)."""
    result = np.empty((seeds, data.num_rows), np.uint64)
    texts = _text_hashes({n: data.column(n) for n in columns if _is_text(data.column(n).type)})
    for start in range(0, data.num_rows, BLOCK):
        block = data.slice(start, BLOCK)
        part = result[:, start : start + BLOCK]
        part[:] = 0
        for name in columns:
            if name in texts:
                hashes = texts[name][start : start + BLOCK]
            else:
                hashes = column_hashes(block.column(name))
            for seed in range(seeds):
                part[seed] += hashes * _odd(name, seed)
        for seed in range(seeds):
            _mix(part[seed])
    return result


def checksum(data: pa.RecordBatch | pa.Table, columns: Sequence[str]) -> tuple[int, int]:
    """Return the order-independent checksum of rows: two sums modulo 2^64."""
    first, second = row_hashes(data, columns, seeds=2).sum(axis=1, dtype=np.uint64)
    return int(first), int(second)


def column_hashes(column: pa.Array | pa.ChunkedArray) -> Hashes:
    """Return the stable 64-bit hashes of values, zero where null."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        if column.null_count == len(column):
            return np.zeros(len(column), np.uint64)
        taken = column_hashes(column.dictionary)[column.indices.fill_null(0).to_numpy(False)]
        return _without_nulls(column, taken)
    if _is_text(kind):
        return _text_hashes({"text": column})["text"]
    return _without_nulls(column, _mix(_bits(column)))


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_large_string(kind) or pa.types.is_string(kind)


def _text_hashes(
    columns: dict[str, pa.Array | pa.ChunkedArray], seed: int = 0
) -> dict[str, Hashes]:
    """Return the hashes of columns of text, all worked on at once."""
    texts = pl.DataFrame([pl.Series(name, column) for name, column in columns.items()])
    hashed = texts.select(plh.col(n).nchash.xxh3_64(seed=seed).fill_null(0) for n in columns)
    return {name: hashed[name].to_numpy() for name in columns}


def _bits(column: pa.Array) -> Hashes:
    """Return values as fresh 64-bit words."""
    kind, rows = column.type, len(column)
    if pa.types.is_decimal128(kind):
        buffer = column.buffers()[1]
        words = np.frombuffer(buffer, np.uint64, 2 * rows, 16 * column.offset).reshape(rows, 2)
        high = words[:, 1] + (words[:, 0] >> np.uint64(63))  # zero where 64 bits hold the value
        low = words[:, 0].copy()
        beyond = np.flatnonzero(high)
        low[beyond] ^= _mix(high[beyond])
        return low
    if pa.types.is_floating(kind):
        values = column.fill_null(0).to_numpy(False).astype(np.float64)
        values[np.isnan(values)] = np.nan
        return (values + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    if pa.types.is_boolean(kind):
        return column.fill_null(False).to_numpy(False).astype(np.uint64)
    if pa.types.is_date32(kind):
        column = column.view(pa.int32())
    elif pa.types.is_timestamp(kind):
        column = column.view(pa.int64())
    return column.fill_null(0).to_numpy(False).astype(np.int64).view(np.uint64)


def _without_nulls(column: pa.Array, hashes: Hashes) -> Hashes:
    if column.null_count:
        hashes[pc.is_null(column).to_numpy(False)] = 0
    return hashes


def _mix(values: Hashes) -> Hashes:
    """Apply `fmix64` in place, with an offset so that zero does not stay zero."""
    values += np.uint64(0x9E3779B97F4A7C15)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


@lru_cache(maxsize=1 << 12)
def _odd(name: str, seed: int) -> np.uint64:
    """Return the odd multiplier of a column."""
    return _text_hashes({"text": pa.array([name])}, seed + 1)["text"][0] | np.uint64(1)
