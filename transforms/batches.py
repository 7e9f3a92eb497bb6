"""Arrow batches as Beam elements: the coders, and small operations on batches."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import apache_beam as beam
import numpy as np
import polars as pl
import pyarrow as pa

BATCH_ROWS = 1 << 17

PACKING = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1))
"""Rows of records shrink to a fifth, and so does what a shuffle copies and keeps."""

SMALL = 1 << 16
"""Batches of fewer bytes are not worth the compressor's start."""

TEXT = pa.dictionary(pa.int32(), pa.large_string())
"""Columns with few distinct texts per batch, such as site and source."""


def pack(batch: pa.RecordBatch) -> bytes:
    """Return a batch as a compressed Arrow IPC stream; a slice carries its own rows only."""
    sink = pa.BufferOutputStream()
    options = PACKING if batch.nbytes > SMALL else None
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def unpack(packed: bytes) -> pa.RecordBatch:
    """Return the batch that was packed."""
    with pa.ipc.open_stream(packed) as reader:
        return reader.read_next_batch()


class BatchCoder(beam.coders.Coder):  # type: ignore[misc]
    """Code batches packed.

    The default coder pickles, which copies the whole parent of each slice.
    """

    def encode(self, batch: pa.RecordBatch) -> bytes:
        return pack(batch)

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        return unpack(encoded)

    def estimate_size(self, batch: pa.RecordBatch) -> int:
        return batch.nbytes

    def is_deterministic(self) -> bool:
        return False

    def to_type_hint(self) -> Any:
        return pa.RecordBatch


beam.coders.registry.register_coder(pa.RecordBatch, BatchCoder)


class DateCoder(beam.coders.Coder):  # type: ignore[misc]
    """Code a date, so that it can be part of a key."""

    def encode(self, day: date) -> bytes:
        return day.isoformat().encode()

    def decode(self, encoded: bytes) -> date:
        return date.fromisoformat(encoded.decode())

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> Any:
        return date


beam.coders.registry.register_coder(date, DateCoder)


def repeated(text: str | None, rows: int) -> pa.DictionaryArray:
    """Return a column that has one text in every row."""
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, np.int32), mask=None if text is not None else np.ones(rows, bool)),
        pa.array([text or ""], pa.large_string()),
    )


def concat(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Join batches of the same columns into a table with one chunk per column.

    Text that is a dictionary in some of them only becomes plain.
    """
    several = list(batches)
    schema = several[0].schema
    if any(batch.schema != schema for batch in several):
        types = zip(*(batch.schema.types for batch in several), strict=True)
        plain = [kinds[0] if len(set(kinds)) == 1 else pa.large_string() for kinds in types]
        schema = pa.schema(list(zip(schema.names, plain, strict=True)))
        several = [batch.cast(schema) for batch in several]
    return pa.Table.from_batches(several).unify_dictionaries().combine_chunks()


def frame(data: pa.RecordBatch | pa.Table) -> pl.DataFrame:
    """View Arrow data as a Polars frame, dictionaries as plain text."""
    plain = [
        f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in data.schema
    ]
    result = pl.from_arrow(data.cast(pa.schema(plain)))
    assert isinstance(result, pl.DataFrame)
    return result


def single_batch(table: pa.Table) -> pa.RecordBatch:
    """Return a table's rows as one batch."""
    batches = table.combine_chunks().to_batches()
    if batches:
        return batches[0]
    return pa.RecordBatch.from_pylist([], table.schema)


def by_radix(codes: np.ndarray) -> np.ndarray:
    """Return the stable order of integers; in linear time where 16 bits tell them apart."""
    if not len(codes):
        return np.zeros(0, np.int64)
    relative = codes - codes.min()
    small = relative.max() < 1 << 16
    return np.argsort(relative.astype(np.uint16) if small else relative, kind="stable")


def without_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with views of texts as texts: few of Arrow's kernels take views."""
    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    if not any(kind in plain for kind in batch.schema.types):
        return batch
    return batch.cast(pa.schema([f.with_type(plain.get(f.type, f.type)) for f in batch.schema]))


def with_column(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    """Append a column."""
    return pa.RecordBatch.from_arrays(
        [*batch.columns, column], schema=batch.schema.append(pa.field(name, column.type))
    )
