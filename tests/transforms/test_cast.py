from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.transforms.cast import Cast, cast

STRING, BOOLEAN, DATE = pa.large_string(), pa.bool_(), pa.date32()
INT32, INT64, FLOAT = pa.int32(), pa.int64(), pa.float64()
PRICE, WIDE, WHOLE = pa.decimal128(10, 2), pa.decimal128(38, 10), pa.decimal128(18, 0)
KINDS = [STRING, BOOLEAN, DATE, INT32, INT64, FLOAT, PRICE, WIDE, WHOLE]
INTEGERS = [pa.int8(), pa.int16(), INT32, INT64, pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]


def values(result: Cast) -> list[Any]:
    """Return a result's values, with the word `failed` for one that did not fit."""
    assert result.failed is None or result.failed.any()
    found = result.column.to_pylist()
    failed = result.failed if result.failed is not None else np.zeros(len(found), bool)
    assert all(value is None for value, bad in zip(found, failed, strict=True) if bad)
    return ["failed" if bad else value for value, bad in zip(found, failed, strict=True)]


def one(value: Any, given_as: pa.DataType, kind: pa.DataType) -> Any:
    (found,) = values(cast(pa.array([value], given_as), kind))
    return found


def bounds(kind: pa.DataType) -> tuple[int, int]:
    info = np.iinfo(kind.to_pandas_dtype())
    return int(info.min), int(info.max)


def fits(exact: Decimal, kind: pa.DataType) -> bool:
    """Tell whether a decimal type holds a number exactly."""
    scaled = Fraction(exact) * 10**kind.scale
    return scaled.denominator == 1 and abs(scaled) < 10**kind.precision


@pytest.mark.parametrize("kind", KINDS)
def test_right_type_stays_as_it_is(kind: pa.DataType) -> None:
    made = {STRING: ["x", "", None], BOOLEAN: [True, None], DATE: [date(2026, 3, 8), None]}
    number = {INT32: [1, None], INT64: [-1, None], FLOAT: [1.5, math.inf, None]}
    column = pa.array((made | number).get(kind) or [Decimal(3), Decimal(-1), None], kind)
    result = cast(column, kind)
    assert result.failed is None
    assert result.column.equals(column)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given_as", [pa.null(), pa.string(), pa.list_(pa.int32()), pa.binary()])
def test_nulls_are_no_failures(kind: pa.DataType, given_as: pa.DataType) -> None:
    result = cast(pa.nulls(3, given_as), kind)
    assert result.failed is None
    assert result.column.equals(pa.nulls(3, kind))


@pytest.mark.parametrize("kind", [*KINDS, pa.timestamp("us", "UTC")])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"a", None], pa.binary()),
        pa.array([b"ab", None], pa.binary(2)),
        pa.array([[1], None]),
        pa.array([{"a": 1}, None]),
        pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int32())),
        pa.array([timedelta(1), None]),
        pa.array([datetime(2026, 1, 1).time(), None]),
        pa.array([Decimal("1.5"), None], pa.decimal256(60, 3)),
        pa.array([pa.MonthDayNano([1, 2, 3]), None]),
        pa.RunEndEncodedArray.from_arrays([1, 2], ["a", "b"]),
    ],
    ids=lambda column: str(column.type),
)
def test_types_that_no_column_is_read_from(column: pa.Array, kind: pa.DataType) -> None:
    expected = ["failed", "failed" if column.is_valid()[1].as_py() else None]
    assert values(cast(column, kind)) == expected


@pytest.mark.parametrize("kind", [INT32, INT64, FLOAT, BOOLEAN, PRICE])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([date(2026, 1, 1)]),
        pa.array([date(2026, 1, 1)], pa.date64()),
        pa.array([datetime(2026, 1, 1)]),
        pa.array([datetime(2026, 1, 1)], pa.timestamp("us", "Europe/Berlin")),
    ],
    ids=lambda column: str(column.type),
)
def test_times_are_no_numbers(column: pa.Array, kind: pa.DataType) -> None:
    assert values(cast(column, kind)) == ["failed"]


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(INTEGERS), st.sampled_from([INT32, INT64]))
def test_integers_fit_or_fail(
    data: st.DataObject, given_as: pa.DataType, kind: pa.DataType
) -> None:
    low, high = bounds(given_as)
    edges = st.sampled_from([low, high, *(x for x in bounds(kind) if low <= x <= high)])
    numbers = data.draw(st.lists(st.integers(low, high) | edges | st.none(), max_size=20))
    least, most = bounds(kind)
    expected = [x if x is None or least <= x <= most else "failed" for x in numbers]
    assert values(cast(pa.array(numbers, given_as), kind)) == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=20))
def test_integers_are_floats_only_where_exact(numbers: list[int | None]) -> None:
    expected = [
        None if x is None else float(x) if -(2**63) <= int(float(x)) == x < 2**63 else "failed"
        for x in numbers
    ]
    assert values(cast(pa.array(numbers, INT64), FLOAT)) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.data(),
    st.sampled_from(INTEGERS),
    st.sampled_from([PRICE, WIDE, WHOLE, pa.decimal128(38, 38)]),
)
def test_integers_are_decimals_or_fail(
    data: st.DataObject, given_as: pa.DataType, kind: pa.DataType
) -> None:
    numbers = data.draw(st.lists(st.integers(*bounds(given_as)) | st.integers(0, 9), max_size=20))
    expected = [Decimal(x) if fits(Decimal(x), kind) else "failed" for x in numbers]
    assert values(cast(pa.array(numbers, given_as), kind)) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.floats()
        | st.integers(-(2**70), 2**70).map(float)
        | st.sampled_from([2.0**31, 2.0**31 - 1, 2.0**53 + 2, 2.0**63, -(2.0**63), -0.0]),
        max_size=20,
    ),
    st.sampled_from([INT32, INT64]),
)
def test_floats_are_integers_only_where_whole(numbers: list[float], kind: pa.DataType) -> None:
    low, high = bounds(kind)
    expected = [
        int(x) if math.isfinite(x) and int(x) == x and low <= int(x) <= high else "failed"
        for x in numbers
    ]
    assert values(cast(pa.array(numbers, FLOAT), kind)) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.floats()
        | st.decimals(-(10**9), 10**9, places=2).map(float)
        | st.integers(-(2**60), 2**60).map(float),
        max_size=20,
    ),
    st.sampled_from([PRICE, WIDE, WHOLE, pa.decimal128(38, 20)]),
)
def test_floats_are_decimals_only_where_their_digits_fit(
    numbers: list[float], kind: pa.DataType
) -> None:
    digits = [Decimal(repr(x)) if math.isfinite(x) else None for x in numbers]
    expected = ["failed" if d is None or not fits(d, kind) else d for d in digits]
    found = values(cast(pa.array(numbers, FLOAT), kind))
    assert found == expected
    assert all(v == "failed" or float(v) == x for v, x in zip(found, numbers, strict=True))


@pytest.mark.parametrize(
    ("number", "kind", "expected"),
    [
        (0.1, PRICE, Decimal("0.10")),
        (1.5, INT32, "failed"),
        (3.0, INT32, 3),
        (0.1, FLOAT, float(np.float32(0.1))),
        (math.nan, PRICE, "failed"),
        (math.inf, INT64, "failed"),
        (1.0, BOOLEAN, True),
    ],
)
def test_short_floats(number: float, kind: pa.DataType, expected: Any) -> None:
    assert one(number, pa.float32(), kind) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.decimals(-(10**17), 10**17, places=10) | st.decimals(-1000, 1000, places=2),
        max_size=20,
    ),
    st.sampled_from([PRICE, WIDE, WHOLE, pa.decimal128(4, 2), pa.decimal128(38, 0)]),
)
def test_decimals_fit_or_fail(numbers: list[Decimal], kind: pa.DataType) -> None:
    expected = [x if fits(x, kind) else "failed" for x in numbers]
    assert values(cast(pa.array(numbers, pa.decimal128(38, 12)), kind)) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.decimals(-(10**11), 10**11, places=3) | st.integers(-(10**10), 10**10), max_size=20
    ),
    st.sampled_from([INT32, INT64]),
)
def test_decimals_are_integers_only_where_whole(
    numbers: list[Decimal | int], kind: pa.DataType
) -> None:
    low, high = bounds(kind)
    exact = [Decimal(x) for x in numbers]
    expected = [int(x) if int(x) == x and low <= x <= high else "failed" for x in exact]
    assert values(cast(pa.array(exact, pa.decimal128(38, 3)), kind)) == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.decimals(-(10**20), 10**20, places=12), max_size=20))
def test_decimals_are_the_nearest_floats(numbers: list[Decimal]) -> None:
    found = values(cast(pa.array(numbers, pa.decimal128(38, 12)), FLOAT))
    assert found == [float(x) for x in numbers]


NUMERALS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(-(10**12), 10**12, places=4).map(lambda d: f"{d:f}"),
    st.from_regex(r"[+-]?[0-9]{0,25}(\.[0-9]{0,25})?", fullmatch=True),
    st.from_regex(r"[+-]?[0-9]{1,3}(\.[0-9]{1,20})?[eE][+-]?[0-9]{1,3}", fullmatch=True),
    st.floats().map(repr),
    st.sampled_from(
        ["", " 5", "5 ", "5\n", "0x10", "1_000", "1,5", "٣", "--1", "1.2.3", "½", "1e"]
    ),
    st.sampled_from(["9" * 80, "0." + "1" * 60, "1." + "0" * 30 + "1", "1e-400", "0e99", "1e99"]),
    st.sampled_from(["9007199254740993.0", "4503599627370496.3", "2147483648", "1.00000000001"]),
    st.text(max_size=5),
)


def exactly(text: str) -> Decimal | None:
    """Return the number that a text is, or None."""
    try:
        found = (
            Decimal(text) if text.isascii() and text == text.strip() and "_" not in text else None
        )
    except ArithmeticError:
        return None
    return found if found is not None and found.is_finite() else None


@settings(max_examples=100, deadline=None)
@given(st.lists(NUMERALS, min_size=1, max_size=20), st.sampled_from([INT32, INT64]))
def test_text_is_an_exact_integer_or_fails(texts: list[str], kind: pa.DataType) -> None:
    low, high = bounds(kind)
    for text, found in zip(texts, values(cast(pa.array(texts), kind)), strict=True):
        number = exactly(text)
        if found != "failed":
            assert number == found
        elif number is not None and "e" not in text.lower() and text[-1].isdigit():
            whole = Fraction(number).denominator == 1 and low <= number <= high
            assert not whole or text.lstrip("+-").startswith(".")


@settings(max_examples=100, deadline=None)
@given(st.lists(NUMERALS, min_size=1, max_size=20), st.sampled_from([PRICE, WIDE, WHOLE]))
def test_text_is_an_exact_decimal_or_fails(texts: list[str], kind: pa.DataType) -> None:
    for text, found in zip(texts, values(cast(pa.array(texts), kind)), strict=True):
        number = exactly(text)
        if found != "failed":
            assert number == found
        elif number is not None and "e" not in text.lower():
            assert not fits(number, kind)


@settings(max_examples=100, deadline=None)
@given(st.lists(NUMERALS, min_size=1, max_size=20))
def test_text_is_the_nearest_float_or_fails(texts: list[str]) -> None:
    for text, found in zip(texts, values(cast(pa.array(texts), FLOAT)), strict=True):
        number = exactly(text)
        if number is not None:
            near = float(number)
            assert found == near or (found == "failed" and math.isinf(near))
        elif found != "failed":
            assert text.lower().lstrip("+-") in ("nan", "inf", "infinity")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(NUMERALS | st.none(), min_size=1, max_size=12),
    st.sampled_from([INT32, INT64, FLOAT, PRICE, WIDE, BOOLEAN, DATE]),
    st.integers(0, 12),
)
def test_what_becomes_of_a_value_does_not_depend_on_the_others(
    texts: list[str | None], kind: pa.DataType, cut: int
) -> None:
    column = pa.array(texts, pa.large_string())
    parts = [part for part in (column[:cut], column[cut:]) if len(part)]
    in_parts = [value for part in parts for value in values(cast(part, kind))]
    alone = [value for i in range(len(column)) for value in values(cast(column[i : i + 1], kind))]
    assert repr(values(cast(column, kind))) == repr(in_parts) == repr(alone)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(NUMERALS | st.none(), min_size=1, max_size=12),
    st.sampled_from([INT64, FLOAT, PRICE, BOOLEAN, DATE, STRING]),
)
def test_every_way_to_hold_text_gives_the_same(texts: list[str | None], kind: pa.DataType) -> None:
    small = pa.array(texts, pa.string())
    expected = repr(values(cast(small, kind)))
    others = [
        small.cast(pa.large_string()),
        small.cast(pa.string_view()),
        small.dictionary_encode(),
        small.cast(pa.large_string()).dictionary_encode(),
        pa.concat_arrays([pa.array(["x"]), small, pa.array(["y"])])[1:-1],
    ]
    assert [repr(values(cast(other, kind))) for other in others] == [expected] * len(others)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("5", INT32, 5),
        ("+5", INT32, 5),
        ("5.0", INT32, 5),
        ("5.00", INT64, 5),
        ("5e2", INT64, 500),
        ("4.85005441141425e+16", INT64, "failed"),  # a float64 holds 48500544114142496
        ("5.5", INT32, "failed"),
        ("2147483648", INT32, "failed"),
        ("9223372036854775807", INT64, 2**63 - 1),
        ("-9223372036854775808", INT64, -(2**63)),
        ("9223372036854775808", INT64, "failed"),
        ("9007199254740993.0", INT64, 9007199254740993),
        ("19.99", PRICE, Decimal("19.99")),
        ("19.990", PRICE, Decimal("19.99")),
        ("19.999", PRICE, "failed"),
        ("1.0000000001", PRICE, "failed"),
        ("100000000", PRICE, "failed"),
        ("99999999.99", PRICE, Decimal("99999999.99")),
        ("1e-7", WIDE, Decimal("0.0000001")),
        ("1e-11", WIDE, "failed"),
        ("1E+2", PRICE, Decimal(100)),
        ("9" * 28 + "." + "9" * 10, WIDE, Decimal("9" * 28 + "." + "9" * 10)),
        ("0.1", FLOAT, 0.1),
        ("1e400", FLOAT, "failed"),
        ("-inf", FLOAT, -math.inf),
        ("true", BOOLEAN, True),
        ("FALSE", BOOLEAN, False),
        ("1", BOOLEAN, True),
        ("0", BOOLEAN, False),
        ("yes", BOOLEAN, "failed"),
        ("2", BOOLEAN, "failed"),
        ("", BOOLEAN, "failed"),
        ("", INT32, "failed"),
        ("", STRING, ""),
        ("2026-03-08", DATE, date(2026, 3, 8)),
        ("2024-02-29", DATE, date(2024, 2, 29)),
        ("2026-02-29", DATE, "failed"),
        ("0001-01-01", DATE, date.min),
        ("9999-12-31", DATE, date.max),
        ("0000-01-01", DATE, "failed"),
        ("10000-01-01", DATE, "failed"),
        ("2026-3-8", DATE, "failed"),
        ("08.03.2026", DATE, "failed"),
        (" 2026-03-08", DATE, "failed"),
        ("2026-03-08T00:00:00", DATE, "failed"),
        ("20260308", DATE, "failed"),
    ],
)
def test_text_as_in_csv(text: str, kind: pa.DataType, expected: Any) -> None:
    assert one(text, pa.large_string(), kind) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text() | st.sampled_from(["\x00", "é😀", "x" * 100_000]) | st.none(), max_size=9)
)
def test_text_stays_as_it_is(texts: list[str | None]) -> None:
    assert values(cast(pa.array(texts, pa.string()), STRING)) == texts


@pytest.mark.parametrize(
    ("value", "given_as", "expected"),
    [
        (5, pa.int64(), "5"),
        (2**64 - 1, pa.uint64(), "18446744073709551615"),
        (19.99, pa.float64(), "19.99"),
        (True, pa.bool_(), "true"),
        (Decimal("1.50"), pa.decimal128(10, 2), "1.50"),
        (date(2026, 3, 8), pa.date32(), "2026-03-08"),
    ],
)
def test_plain_values_as_text(value: Any, given_as: pa.DataType, expected: str) -> None:
    assert one(value, given_as, STRING) == expected


@pytest.mark.parametrize("number", [0, 1, 2, -1])
@pytest.mark.parametrize("given_as", [pa.int8(), pa.int64(), pa.float64(), pa.decimal128(5, 2)])
def test_numbers_are_booleans_if_zero_or_one(number: int, given_as: pa.DataType) -> None:
    value = Decimal(number) if pa.types.is_decimal(given_as) else number
    assert one(value, given_as, BOOLEAN) == {0: False, 1: True}.get(number, "failed")


def test_booleans_are_zero_and_one() -> None:
    for kind in (INT32, INT64, FLOAT, PRICE):
        assert values(cast(pa.array([True, False, None]), kind)) == [1, 0, None]


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.lists(st.datetimes(datetime(1700, 1, 1), datetime(2250, 1, 1)), max_size=9),
    st.booleans(),
)
def test_only_midnights_are_dates(unit: str, moments: list[datetime], midnight: bool) -> None:
    if midnight:
        moments = [datetime.combine(moment.date(), datetime.min.time()) for moment in moments]
    column = pa.array(moments, pa.timestamp("us")).cast(pa.timestamp(unit), safe=False)
    kept = [moment.replace(microsecond=0) if unit == "s" else moment for moment in moments]
    kept = [
        m.replace(microsecond=m.microsecond // 1000 * 1000) if unit == "ms" else m for m in kept
    ]
    expected = [m.date() if m.time() == datetime.min.time() else "failed" for m in kept]
    assert values(cast(column, DATE)) == expected


def test_days_that_no_calendar_has() -> None:
    days = pa.array([-719_163, -719_162, 2_932_896, 2_932_897, 2**31 - 1], pa.int32())
    found = values(cast(days.view(pa.date32()), DATE))
    assert found == ["failed", date.min, date.max, "failed", "failed"]
    millis = pa.array([86_400_000, 86_400_001, 2**63 - 1, -(2**63)], pa.int64())
    assert values(cast(millis.view(pa.date64()), DATE)) == [date(1970, 1, 2)] + ["failed"] * 3
    zoned = pa.array([datetime(2026, 1, 1)], pa.timestamp("us", "UTC"))
    assert values(cast(zoned, DATE)) == ["failed"]


def test_numbers_are_no_dates() -> None:
    for column in (pa.array([20260308]), pa.array([1.0]), pa.array([True]), pa.array([Decimal(1)])):
        assert values(cast(column, DATE)) == ["failed"]


def test_dictionaries_of_any_type() -> None:
    numbers = pa.array([1, 300, None, 1], pa.int64()).dictionary_encode()
    assert values(cast(numbers, INT32)) == [1, 300, None, 1]
    nothing = pa.array([None, None], pa.string()).dictionary_encode()
    assert values(cast(nothing, INT32)) == [None, None]
    null_in_it = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["1", None]))
    assert values(cast(null_in_it, INT32)) == [1, None]
