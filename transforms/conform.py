"""Conform batches to a feed: declared columns in their types, and what is computed from them."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from isopach.feeds.feed import WIDE_INTEGERS, Feed
from isopach.feeds.hooks import load_hook
from isopach.feeds.sites import Sites
from isopach.transforms.batches import TEXT, frame, single_batch
from isopach.transforms.cast import cast
from isopach.transforms.quarantine import REJECTED, Mark, Marks


def conform(batch: pa.RecordBatch, feed: Feed, sites: Sites, marks: Marks) -> pa.RecordBatch:
    """Cast a batch to the feed's declared columns; absent ones are null.

    Text that came as a dictionary stays one.
    """
    names = batch.schema.names
    columns = []
    for name, column in feed.columns.items():
        if name not in names:
            columns.append(pa.nulls(batch.num_rows, column.arrow))
            continue
        given = batch.column(name)
        if _is_coded_text(given.type) and column.type == "string":
            columns.append(given.cast(TEXT))
            continue
        result = cast(given, column.arrow, _zones(column.zone, batch, feed, sites))
        if result.failed is not None:
            marks.set(result.failed, Mark(REJECTED, "malformed", name))
        columns.append(result.column)
    return pa.RecordBatch.from_arrays(columns, names=list(feed.columns))


def _is_coded_text(kind: pa.DataType) -> bool:
    return pa.types.is_dictionary(kind) and (
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    )


def extend(batch: pa.RecordBatch, feed: Feed) -> pa.RecordBatch:
    """Add what is computed from a row: the hook's changes, lookups and derived columns."""
    if not (feed.hook or feed.lookups or feed.derive):
        return batch
    source, stamps = list(feed.columns), [n for n in batch.schema.names if n not in feed.columns]
    rows = frame(batch.select(source if feed.hook else feed.inputs))
    if feed.hook:
        rows = _hooked(rows, feed.hook)
    for lookup in feed.lookups.values():
        rows = rows.join(
            lookup.table, on=lookup.on, how="left", maintain_order="left", nulls_equal=False
        )
    rows = rows.with_columns(WIDE_INTEGERS)
    for derivation in feed.derivations:
        rows = _derived(rows, derivation)
    kept = [] if feed.hook else source
    fields = [field for field in feed.payload if field.name not in kept]
    computed = single_batch(rows.select(f.name for f in fields).to_arrow().cast(pa.schema(fields)))
    return pa.RecordBatch.from_arrays(
        [
            *(batch.column(n) for n in kept),
            *computed.columns,
            *(batch.column(n) for n in stamps),
        ],
        names=[*feed.payload.names, *stamps],
    )


def _derived(rows: pl.DataFrame, derivation: pl.Expr) -> pl.DataFrame:
    """Add a derived column, null in rows where it cannot be computed.

    Polars fails a frame for one row, as for a decimal of too many digits; halving finds it.
    """
    try:
        return rows.with_columns(derivation)
    except pl.exceptions.ComputeError:
        if rows.height == 1:
            kind = rows.clear().with_columns(derivation).schema[derivation.meta.output_name()]
            return rows.with_columns(pl.lit(None, kind).alias(derivation.meta.output_name()))
    half = rows.height // 2
    return pl.concat([_derived(rows[:half], derivation), _derived(rows[half:], derivation)])


def _hooked(rows: pl.DataFrame, hook: str) -> pl.DataFrame:
    result = load_hook(hook)(rows)
    if (
        not isinstance(result, pl.DataFrame)
        or result.schema != rows.schema
        or (result.height != rows.height)
    ):
        raise ValueError(f"hook {hook} must return a frame with the same columns, types and rows")
    return result


def _zones(
    zone: str | None, batch: pa.RecordBatch, feed: Feed, sites: Sites
) -> pl.Series | str | None:
    """Return how a timestamp column's local times are read: by one zone, or by each row's site."""
    if zone != "site":
        return zone
    known = {site.site: site.time_zone for site in sites}
    if feed.site not in batch.schema.names:
        return None
    named = pl.Series("site", batch.column(feed.site)).cast(pl.String)
    return named.replace_strict(known, default=None, return_dtype=pl.String)
