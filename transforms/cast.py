"""Cast a column to its declared type, and say which values do not fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from isopach.feeds.columns import polars_type

OFFSET = r"T.*[+-]\d{2}:?\d{2}$"
FIRST, LAST = (
    -62135510400000000,
    253402128000000000,
)  # 0001-01-02 and 9999-12-30 in UTC microseconds
SPARE_DIGITS = 6


class Cast(NamedTuple):
    """A column cast to its type; `failed` are the values that do not fit (null there)."""

    column: pa.Array
    failed: NDArray[np.bool_] | None


def cast(column: pa.Array, kind: pa.DataType, zones: pl.Series | str | None = None) -> Cast:
    """Cast a column; nothing is rounded, cut or guessed.

    Args:
        zones: how timestamps without an offset are read: in one IANA zone, or in each row's.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.type == kind and not pa.types.is_timestamp(kind):
        return Cast(column, None)
    if pa.types.is_string(column.type) and pa.types.is_large_string(kind):
        return Cast(column.cast(kind), None)
    if column.null_count == len(column):
        return Cast(pa.nulls(len(column), kind), None)
    if pa.types.is_timestamp(kind):
        return _timestamps(column, zones)
    given = pl.Series("value", column)
    if given.dtype.is_nested() or given.dtype == pl.Binary:
        return Cast(pa.nulls(len(column), kind), np.asarray(column.is_valid()))
    target = polars_type(kind)
    result = _converted(given, target)
    failed = (result.is_null() & given.is_not_null()).to_numpy()
    return Cast(_arrow(result, kind), failed if failed.any() else None)


def _converted(given: pl.Series, target: pl.DataType) -> pl.Series:
    """Return values in the target type, null where one does not fit exactly."""
    text = given.dtype == pl.String
    if target.is_integer() and (text or given.dtype.is_float()):
        return _whole(given, target)
    if isinstance(target, pl.Decimal) and (text or isinstance(given.dtype, pl.Decimal)):
        return _exact_decimal(given, target)
    if isinstance(target, pl.Decimal):
        largest = (10**target.precision - 1) / 10**target.scale  # beyond it Polars raises
        return _where(given.cast(pl.Float64).abs() <= largest, given).cast(target)
    if target == pl.Date and text:
        return given.str.to_date("%Y-%m-%d", strict=False)
    if target == pl.Date and isinstance(given.dtype, pl.Datetime):
        day = given.dt.date()
        return _where(day.cast(given.dtype) == given, day)
    if target == pl.Boolean and text:
        words = {"true": True, "false": False, "1": True, "0": False}
        return given.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
    if target == pl.Boolean:
        return _where((given == 0) | (given == 1), given.cast(pl.Boolean, strict=False))
    return given.cast(target, strict=False)


def _whole(given: pl.Series, target: pl.DataType) -> pl.Series:
    """Return whole numbers, also those written as 3.0."""
    result = given.cast(target, strict=False) if given.dtype == pl.String else None
    if result is not None and result.null_count() == given.null_count():
        return result
    numbers = given.cast(pl.Float64, strict=False)
    fits = (numbers == numbers.round()) & (numbers.abs() <= 2**53)
    from_float = _where(fits, numbers.cast(target, strict=False))
    return from_float if result is None else result.zip_with(result.is_not_null(), from_float)


def _exact_decimal(given: pl.Series, target: pl.Decimal) -> pl.Series:
    scale = target.scale
    result = given.cast(target, strict=False)
    finer = given.cast(pl.Decimal(38, min(38, scale + SPARE_DIGITS)), strict=False)
    return _where(finer == result.cast(finer.dtype), result)


def _timestamps(column: pa.Array, zones: pl.Series | str | None) -> Cast:
    """Return UTC microseconds: ISO 8601 with offset, epoch millis, or local time in a zone."""
    kind = pa.timestamp("us", "UTC")
    given = pl.Series("value", column)
    if column.type == kind:
        result = given
    elif given.dtype.is_integer():
        millis = _where((given >= FIRST // 1000) & (given <= LAST // 1000), given)
        result = (millis * 1000).cast(pl.Datetime("us", "UTC"))
    elif given.dtype == pl.String:
        result = _parsed(given, zones)
    elif isinstance(given.dtype, pl.Datetime):
        zoned = given.dtype.time_zone is not None
        result = given.dt.convert_time_zone("UTC") if zoned else _local(given, zones)
        result = result.dt.cast_time_unit("us")
    else:
        result = pl.Series([None] * len(given), dtype=pl.Datetime("us", "UTC"))
    raw = result.cast(pl.Int64)
    low, high = raw.min(), raw.max()
    if low is not None and (low < FIRST or high > LAST):  # type: ignore[operator]
        result = _where((raw >= FIRST) & (raw <= LAST), result)
    failed = (result.is_null() & given.is_not_null()).to_numpy()
    return Cast(_arrow(result, kind), failed if failed.any() else None)


def _parsed(given: pl.Series, zones: pl.Series | str | None) -> pl.Series:
    try:
        typed = pc.cast(given.to_arrow(), pa.timestamp("us", "UTC"))  # all ISO, all with offset
        return pl.Series("value", typed)
    except pa.ArrowInvalid:
        pass  # some are not: parse each for itself
    iso = given.str.replace(r"^(\S+) ", "${1}T").str.replace(r"[Zz]$", "+00:00")
    iso = iso.str.replace(r"T(\d{2}:\d{2})($|[+-])", "T${1}:00${2}")
    zoned = iso.str.contains(OFFSET)
    utc = _where(zoned, iso).str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    if zones is None or bool(zoned.all()):
        return utc
    naive = _where(~zoned, iso).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False
    )
    return utc.zip_with(utc.is_not_null(), _local(naive, zones))


def _local(naive: pl.Series, zones: pl.Series | str | None) -> pl.Series:
    """Read local wall times: the earlier of two that are alike, null for one that never was."""
    if zones is None:
        return pl.Series([None] * len(naive), dtype=pl.Datetime("us", "UTC"))
    zone = zones if isinstance(zones, pl.Series) else pl.repeat(zones, len(naive), eager=True)
    by_zone = pl.DataFrame({"naive": naive, "zone": zone})
    result = pl.Series([None] * len(naive), dtype=pl.Datetime("us", "UTC"))
    for zone in by_zone["zone"].drop_nulls().unique():
        read = by_zone["naive"].dt.replace_time_zone(
            zone, ambiguous="earliest", non_existent="null"
        )
        result = result.zip_with(by_zone["zone"].ne_missing(zone), read.dt.convert_time_zone("UTC"))
    return result


def _where(fits: pl.Series, values: pl.Series) -> pl.Series:
    """Return values where they fit, null elsewhere."""
    return pl.select(pl.when(fits).then(values)).to_series()


def _arrow(values: pl.Series, kind: pa.DataType) -> pa.Array:
    array = values.to_arrow()
    return array if array.type == kind else array.cast(kind)
