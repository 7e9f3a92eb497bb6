"""The one row type of quarantine, and the marking of rows on their way there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from isopach.transforms.batches import frame, single_batch

REJECTED, LATE, DUPLICATE, UNREADABLE = "rejected", "late", "duplicate", "unreadable"

SCHEMA = pa.schema(
    {
        "disposition": pa.large_string(),  # rejected, late, duplicate; unreadable for a file
        "reason": pa.large_string(),
        "column": pa.large_string(),
        "raw": pa.large_string(),  # the original as JSON, or a line as it stood
        "site": pa.large_string(),  # the window the row is counted in
        "business_date": pa.date32(),
        "row_date": pa.date32(),  # the business date of the row's own event time, where known
        "key": pa.large_string(),
        "_source": pa.large_string(),
        "_position": pa.int64(),
    }
)


class Mark(NamedTuple):
    """Why a row is set aside."""

    disposition: str
    reason: str
    column: str | None


class Marks:
    """The first mark of each row of a batch, if any."""

    def __init__(self, rows: int) -> None:
        self.kinds: list[Mark] = []
        self.codes: NDArray[np.int32] | None = None
        self.rows = rows

    def set(self, failing: NDArray[np.bool_], mark: Mark) -> None:
        """Mark the failing rows that have no mark yet."""
        if not failing.any():
            return
        if self.codes is None:
            self.codes = np.zeros(self.rows, np.int32)
        self.kinds.append(mark)
        self.codes[failing & (self.codes == 0)] = len(self.kinds)

    @property
    def marked(self) -> NDArray[np.bool_] | None:
        """Return which rows are marked; None if none is."""
        return None if self.codes is None else self.codes > 0

    def frame(self) -> pl.DataFrame:
        """Return disposition, reason and column of each marked row, in the rows' order."""
        assert self.codes is not None
        kinds = pl.DataFrame(
            self.kinds, schema=dict.fromkeys(Mark._fields, pl.String), orient="row"
        )
        return kinds[self.codes[self.codes > 0] - 1]


def key_text(key: Sequence[str]) -> pl.Expr:
    """Return rows' keys as text: the value itself, or a JSON object of several."""
    return (pl.col(key[0]).cast(pl.String) if len(key) == 1 else as_json(key)).alias("key")


def readable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with columns of types that are not plain values as text."""
    columns = [
        column
        if _is_plain(column.type)
        else pa.array(map(_text, column.to_pylist()), pa.large_string())
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _is_plain(kind: pa.DataType) -> bool:
    """Tell whether Polars writes values of a type as JSON."""
    if pa.types.is_dictionary(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_plain(kind.value_type)
    if pa.types.is_struct(kind):
        return all(_is_plain(field.type) for field in kind)
    return not pa.types.is_decimal256(kind) and (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or (pa.types.is_primitive(kind) and not pa.types.is_fixed_size_binary(kind))
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    )


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else json.dumps(value, default=_text_of_odd)


def _text_of_odd(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def as_json(columns: Sequence[str]) -> pl.Expr:
    """Return columns as one JSON object per row."""
    return pl.struct(columns).struct.json_encode()


def quarantined(rows: pl.DataFrame) -> pa.RecordBatch:
    """Return a frame as a batch of quarantine rows; columns it lacks are null."""
    columns = [
        pl.col(name) if name in rows.columns else pl.lit(None).alias(name) for name in SCHEMA.names
    ]
    return single_batch(rows.select(columns).to_arrow().cast(SCHEMA))


def set_aside(
    rows: pa.Table, columns: Sequence[str], key: Sequence[str], mark: Mark
) -> pa.RecordBatch:
    """Return rows that were good by themselves as quarantine rows, all for one reason."""
    return quarantined(
        frame(rows).with_columns(
            disposition=pl.lit(mark.disposition),
            reason=pl.lit(mark.reason),
            column=pl.lit(mark.column),
            raw=as_json(columns),
            row_date=pl.col("business_date"),
            key=key_text(key),
        )
    )


def duplicates(rows: pa.Table, columns: Sequence[str], key: Sequence[str]) -> pa.RecordBatch:
    """Return rows that repeat an earlier key as quarantine rows."""
    return set_aside(rows, columns, key, Mark(DUPLICATE, "duplicate_key", ",".join(key)))
