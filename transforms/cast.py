"""Cast a column to its declared type, and say which values do not fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from isopach.feeds.columns import polars_type

UTC = pa.timestamp("us", "UTC")
FIRST, LAST = (
    -62135510400000000,
    253402128000000000,
)  # 0001-01-02 and 9999-12-30 in UTC microseconds
FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31 in days since 1970
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

ISO = (
    r"^(\d{4}-\d{2}-\d{2})[T ](\d{2})(?::(\d{2})(?::([0-5]\d)(?:\.(\d{1,6})0*)?)?)?"
    r"(?: ?(?:([Zz])|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?))?$"
)
"""Date, hour, minute, second, microseconds; `Z`, or an offset's sign, hours and minutes."""
MILLIS = r"^-?\d{13}$"  # from 2001 to 2286; shorter ones could be dates written as a number
WHOLE = r"^([+-]?\d+)(?:\.0*)?$"
SHORT_FLOAT = r"^[+-]?(?:\d\.?){1,15}[eE][+-]?\d{1,2}$"  # 15 digits survive a float64


class Cast(NamedTuple):
    """A column cast to its type; `failed` are the values that do not fit (null there)."""

    column: pa.Array
    failed: NDArray[np.bool_] | None


def cast(column: pa.Array, kind: pa.DataType, zones: pl.Series | str | None = None) -> Cast:
    """Cast a column; nothing is rounded, cut or guessed, whatever else is in the column.

    A float64 is the nearest to the text or decimal it is read from. Timestamps are ISO 8601 with
    offset, or milliseconds since 1970; in text these have 13 digits.

    Args:
        zones: how timestamps without an offset are read: in one IANA zone, or in each row's.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.type == kind and not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return Cast(column, None)
    if pa.types.is_string(column.type) and pa.types.is_large_string(kind):
        return Cast(column.cast(kind), None)
    if column.null_count == len(column):
        return Cast(pa.nulls(len(column), kind), None)
    if not _readable(column.type):
        return Cast(pa.nulls(len(column), kind), column.is_valid().to_numpy(False))
    result = _timestamps(column, zones) if pa.types.is_timestamp(kind) else _values(column, kind)
    failed = (result.is_null() & pl.Series(column.is_valid())).to_numpy()
    return Cast(_arrow(result, kind), failed if failed.any() else None)


def _readable(kind: pa.DataType) -> bool:
    """Tell whether a type is one of plain values: no bytes, durations, or values in values."""
    known = (
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal128,
        pa.types.is_decimal64,
        pa.types.is_decimal32,
        pa.types.is_date,
        pa.types.is_timestamp,
    )
    return _is_text(kind) or any(is_one(kind) for is_one in known)


def _is_text(kind: pa.DataType) -> bool:
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_one(kind) for is_one in text)


def _values(column: pa.Array, kind: pa.DataType) -> pl.Series:
    """Return values in a type other than timestamp, null where one does not fit exactly."""
    target = polars_type(kind)
    if pa.types.is_temporal(column.type) and pa.types.is_date(kind):
        return _dates(column)
    given = pl.Series("value", column)
    if given.dtype.is_temporal() and target != pl.String:
        return _nothing(given, target)
    if target == pl.Date:
        return _written_dates(given) if given.dtype == pl.String else _nothing(given, target)
    if target == pl.Boolean:
        return _booleans(given)
    if given.dtype == pl.Boolean and target != pl.String:
        given = given.cast(pl.Int8)
    if isinstance(target, pl.Decimal):
        return _decimals(given, target)
    if target.is_integer():
        return _integers(given, target)
    return _floats(given) if target.is_float() else given.cast(target)


def _nothing(given: pl.Series, target: pl.DataType) -> pl.Series:
    return pl.Series(given.name, [None] * len(given), target)


def _booleans(given: pl.Series) -> pl.Series:
    if given.dtype == pl.String:
        words = {"true": True, "false": False, "1": True, "0": False}
        return given.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
    return _where((given == 0) | (given == 1), given != 0)


def _integers(given: pl.Series, target: pl.DataType) -> pl.Series:
    """Return whole numbers, also those written as 3.0 or 3e2."""
    result = given.cast(target, strict=False)
    if given.dtype == pl.String:
        if result.null_count() == given.null_count():
            return result
        whole = given.str.extract(WHOLE).cast(target, strict=False)
        short = _short_floats(given)
        exact = _where(short.abs() < 2**53, short)
        return whole.zip_with(whole.is_not_null(), _integers(exact, target))
    if given.dtype.is_integer():
        return result
    return _where(result.cast(given.dtype, strict=False) == given, result)


def _floats(given: pl.Series) -> pl.Series:
    """Return the nearest floats; whole numbers must be exact, and finite ones stay finite."""
    if given.dtype.is_float():
        return given.cast(pl.Float64)
    if given.dtype.is_integer():
        result = given.cast(pl.Float64)
        return _where(result.cast(given.dtype, strict=False) == given, result)
    text = given.cast(pl.String)
    result = text.cast(pl.Float64, strict=False)
    return _where(~(result.is_infinite() & text.str.contains(r"\d")), result)


def _decimals(given: pl.Series, target: pl.Decimal) -> pl.Series:
    """Return decimals; a float stands for the shortest number that is read as it."""
    if given.dtype.is_integer():
        given = given.cast(pl.Decimal(38, 0))
    if isinstance(given.dtype, pl.Decimal):
        result = given.cast(target, strict=False)
        return _where(result.cast(given.dtype, strict=False) == given, result)
    short = given.dtype.is_float()
    text = given.cast(pl.String)
    result = text.cast(target, strict=False)
    exact = text.str.contains(rf"^[+-]?\d*(?:\.\d{{0,{target.scale}}}0*)?$")
    if not exact.all():
        floats = text.cast(pl.Float64, strict=False) if short else _short_floats(text)
        exact |= (result.cast(pl.String).cast(pl.Float64) == floats).fill_null(False)
    return _where(exact, result)


def _short_floats(text: pl.Series) -> pl.Series:
    """Return numbers written with an exponent, where a float64 holds all of their digits."""
    return _where(text.str.contains(SHORT_FLOAT), text).cast(pl.Float64, strict=False)


def _written_dates(text: pl.Series) -> pl.Series:
    iso = _where(text.str.contains(r"^\d{4}-\d{2}-\d{2}$"), text)
    return _known_days(iso.str.to_date("%Y-%m-%d", strict=False).to_physical())


def _dates(column: pa.Array) -> pl.Series:
    """Return the days of dates, and of midnights without a zone."""
    if pa.types.is_date32(column.type):
        return _known_days(pl.Series(column.view(pa.int32())))
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        return _nothing(pl.Series(column.view(pa.int64())), pl.Date())
    unit = column.type.unit if pa.types.is_timestamp(column.type) else "ms"
    instants = pl.Series(column.view(pa.int64()))
    days = instants // (86_400 * PER_SECOND[unit])
    return _known_days(_where(days * (86_400 * PER_SECOND[unit]) == instants, days))


def _known_days(days: pl.Series) -> pl.Series:
    return _where(days.is_between(FIRST_DAY, LAST_DAY), days).cast(pl.Int32).cast(pl.Date)


def _timestamps(column: pa.Array, zones: pl.Series | str | None) -> pl.Series:
    """Return UTC microseconds: ISO 8601 with offset, epoch millis, or local time in a zone."""
    if _is_text(column.type):
        return _known_instants(_parsed(pl.Series("value", column), zones), PER_SECOND["us"])
    if pa.types.is_integer(column.type):
        millis = pl.Series("value", column).cast(pl.Int64, strict=False)
        return _known_instants(millis, PER_SECOND["ms"])
    if not pa.types.is_timestamp(column.type):
        return _nothing(pl.Series(column), pl.Datetime("us", "UTC"))
    raw = pl.Series("value", column.view(pa.int64()))
    instants = _known_instants(raw, PER_SECOND[column.type.unit])
    if column.type.tz is not None:
        return instants
    local = _local(instants.dt.replace_time_zone(None), zones)
    return _known_instants(local.to_physical(), PER_SECOND["us"])


def _known_instants(raw: pl.Series, per_second: int) -> pl.Series:
    """Return instants in UTC microseconds, null where out of range or finer."""
    low, high = FIRST * per_second // 1_000_000, LAST * per_second // 1_000_000
    bounded = _where(raw.is_between(max(low, -(2**63)), min(high, 2**63 - 1)), raw)
    finer = per_second // 1_000_000
    if finer > 1:
        exact = _where(bounded % finer == 0, bounded // finer)
    else:
        exact = bounded * (1_000_000 // per_second)
    return exact.cast(pl.Datetime("us", "UTC"))


def _parsed(given: pl.Series, zones: pl.Series | str | None) -> pl.Series:
    """Return the microseconds since 1970 that texts stand for."""
    try:
        return pl.Series("value", pc.cast(given.to_arrow(), UTC).view(pa.int64()))
    except pa.ArrowInvalid:
        pass  # not all are ISO 8601 with offset: look at each for itself
    parts = given.str.extract_groups(ISO).struct.unnest()
    day, hour, minute, second, fraction, _, sign, hours, minutes = parts.fill_null("").get_columns()
    text = day + "T" + hour + ":" + _digits(minute) + ":" + _digits(second)
    wall = text.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
    wall += (fraction.str.pad_end(6, "0").cast(pl.Int64)).cast(pl.Duration("us"))
    offset = (_digits(hours).cast(pl.Int64) * 60 + _digits(minutes).cast(pl.Int64)) * 60_000_000
    instants = wall.to_physical() - offset * (1 - 2 * (sign == "-").cast(pl.Int64))
    zoned = parts.to_series(5).is_not_null() | parts.to_series(6).is_not_null()
    millis = _where(given.str.contains(MILLIS), given).cast(pl.Int64) * 1_000
    local = _local(_where(~zoned, wall), zones).to_physical()
    return instants.zip_with(zoned, local).zip_with(millis.is_null(), millis)


def _digits(text: pl.Series) -> pl.Series:
    return text.replace("", "00")


def _local(naive: pl.Series, zones: pl.Series | str | None) -> pl.Series:
    """Read local wall times: the earlier of two that are alike, null for one that never was."""
    result = _nothing(naive, pl.Datetime("us", "UTC"))
    if zones is None:
        return result
    zone = zones if isinstance(zones, pl.Series) else pl.repeat(zones, len(naive), eager=True)
    by_zone = pl.DataFrame({"naive": naive, "zone": zone})
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
