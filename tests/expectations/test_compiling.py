from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judging import SCHEMA, Judge, written

from isopach.expectations.compiling import COMPILERS, NOT_COMPILED, compiled, why_not
from isopach.feeds.suites import Expectation, kinds

# Great Expectations uses what pandas 4 will change; pandas warns of a regular expression that has
# groups, and numpy of inf - inf.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This pattern is interpreted as a regular expression"),
    pytest.mark.filterwarnings("ignore:invalid value encountered"),
]

KINDS = {
    "text": ["text", "text2", "coded"],
    "boolean": ["flag", "flag2"],
    "integer": ["whole", "whole2", "small", "small2"],
    "number": ["float", "float2", "price", "cost", "small"],
    "date": ["day", "day2"],
    "timestamp": ["at", "at2"],
}
TEXTS = st.one_of(
    st.sampled_from(
        ["", "a", "ab", "A-1", "a\n", "\n", "a\x00b", "e\u0301", "é", "👩‍👩‍👧", "٣", "3", "3.5",
         " ", "\x0b", "\x1c", "\x85", "\u0300", "²", "ß", "\u017f", "\u212a", "a b", "ab\ncd",
         "x" * 40]
    ),
    st.text(max_size=5),
)  # fmt: skip
DAYS = st.one_of(
    st.dates(date(2026, 3, 7), date(2026, 3, 9)), st.sampled_from([date.min, date.max]), st.dates()
)
TIMES = st.one_of(
    st.datetimes(datetime(2026, 3, 7), datetime(2026, 3, 7, 0, 0, 1)),
    st.sampled_from([datetime.min, datetime.max, datetime(1969, 12, 31, 23, 59, 59, 999999)]),
    st.datetimes(),
).map(lambda at: at.replace(tzinfo=UTC))
FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, 0.1 + 0.2, 1.0, 1.5, math.inf, -math.inf, math.nan]),
    st.integers(-3, 3).map(float),
    st.floats(),
)
LARGE = [2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**62 + 1]
WHOLES = st.one_of(st.integers(-3, 3), st.sampled_from(LARGE), st.integers(-(2**63), 2**63 - 1))
FEW = st.integers(-3, 3)


def decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    units = st.one_of(
        st.integers(-30, 30).map(lambda n: n * 10 ** (scale - 1)),
        st.integers(-(10**digits) + 1, 10**digits - 1),
    )
    return units.map(lambda n: Decimal(n).scaleb(-scale))


VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.large_string(): TEXTS,
    pa.dictionary(pa.int32(), pa.large_string()): TEXTS,
    pa.bool_(): st.booleans(),
    pa.int32(): st.one_of(FEW, st.integers(-(2**31), 2**31 - 1)),
    pa.int64(): st.one_of(FEW, WHOLES),
    pa.float64(): FLOATS,
    pa.decimal128(10, 2): decimals(10, 2),
    pa.decimal128(38, 6): st.one_of(decimals(10, 6), decimals(28, 6)),
    pa.date32(): DAYS,
    pa.timestamp("us", "UTC"): TIMES,
}


@st.composite
def tables(draw: st.DrawFn, columns: list[str]) -> pa.Table:
    rows = draw(st.integers(0, 8))
    data = {}
    for name in dict.fromkeys(columns):
        kind = SCHEMA.field(name).type
        values = VALUES[kind]
        if kind == pa.int64() and draw(st.booleans()):
            values = FEW
        if draw(st.booleans()):
            values = values | st.none()
        drawn = [draw(values) for _ in range(rows)]
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        array = pa.array(drawn, plain)
        data[name] = array.dictionary_encode() if plain is not kind else array
    return pa.table(data)


def constants(column: str) -> st.SearchStrategy[Any]:
    kind = SCHEMA.field(column).type
    return VALUES[kind].filter(lambda v: not isinstance(v, float) or math.isfinite(v)).map(written)


def of(*kinds: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name for kind in kinds for name in KINDS[kind]])


STRICT = st.fixed_dictionaries(
    {}, optional={"strict_min": st.booleans(), "strict_max": st.booleans()}
)


@st.composite
def bounds(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> dict[str, Any]:
    low, high = draw(values), draw(values)
    try:
        low, high = sorted([low, high])
    except TypeError:
        high = None
    dropped = draw(st.sampled_from(["min_value", "max_value", ""]))
    both = {"min_value": low, "max_value": high} | draw(STRICT)
    return {name: value for name, value in both.items() if name != dropped or high is None}


@st.composite
def between(draw: st.DrawFn) -> dict[str, Any]:
    column = draw(of("integer", "number", "date", "timestamp"))
    values = constants(column)
    if column in KINDS["integer"]:
        exact = st.one_of(FEW, st.floats(allow_nan=False, allow_infinity=False), WHOLES)
        values = exact.filter(lambda v: float(v) == v)
    if column in KINDS["timestamp"]:
        values = TIMES.map(lambda at: at.isoformat())
    return {"column": column, **draw(bounds(values))}


@st.composite
def in_set(draw: st.DrawFn) -> dict[str, Any]:
    column = draw(st.sampled_from(SCHEMA.names))
    return {"column": column, "value_set": draw(st.lists(constants(column), min_size=1))}


@st.composite
def lengths(draw: st.DrawFn) -> dict[str, Any]:
    return {"column": draw(of("text")), **draw(bounds(st.integers(0, 6)))}


ATOMS = st.one_of(
    st.sampled_from(
        ["a", "b", "3", "-", " ", "é", "\n", ".", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\n",
         r"\.", r"\-", r"\x41", "[a-z]", "[^a-z]", r"[\w-]", r"[^\d\s]", r"[-+.]", "[^@]", "[a^]",
         r"[\W\d]", "[é-\u017f]"]
    ),
    st.sampled_from("aAbé3\x85٣👩\u017f\u212a"),
)  # fmt: skip
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        inner.map(lambda p: f"({p})"),
        inner.map(lambda p: f"(?:{p})"),
        inner.map(lambda p: f"(?s:{p})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?"])).map(
            lambda both: f"(?:{both[0]}){both[1]}"
        ),
    ),
    max_leaves=6,
)
REGEXES = st.tuples(
    st.sampled_from(["", "(?s)"]),
    st.sampled_from(["", "^", r"\A"]),
    PATTERNS,
    st.sampled_from(["", "$", r"\Z"]),
).map("".join)
REGEX = st.fixed_dictionaries({"column": of("text"), "regex": REGEXES})
REGEX_LIST = st.fixed_dictionaries(
    {"column": of("text"), "regex_list": st.lists(REGEXES, min_size=1, max_size=3)},
)
MATCH_ON = st.fixed_dictionaries({}, optional={"match_on": st.sampled_from(["any", "all"])})


@st.composite
def several(draw: st.DrawFn, least: int, most: int, without: str = "") -> list[str]:
    kind = draw(st.sampled_from([kind for kind in KINDS if kind != without]))
    return draw(st.lists(st.sampled_from(KINDS[kind]), min_size=least, max_size=most, unique=True))


@st.composite
def pair(draw: st.DrawFn, without: str = "") -> dict[str, Any]:
    a, b = draw(several(2, 2, without))
    ignore = st.sampled_from(["both_values_are_missing", "either_value_is_missing", "neither"])
    return {"column_A": a, "column_B": b} | draw(
        st.fixed_dictionaries({}, optional={"ignore_row_if": ignore})
    )


@st.composite
def in_pairs(draw: st.DrawFn) -> dict[str, Any]:
    a, b = draw(st.lists(st.sampled_from(SCHEMA.names), min_size=2, max_size=2, unique=True))
    pairs = st.tuples(constants(a) | st.none(), constants(b) | st.none()).map(list)
    chosen = draw(st.lists(pairs, min_size=1))
    return draw(pair()) | {"column_A": a, "column_B": b, "value_pairs_set": chosen}


@st.composite
def across(draw: st.DrawFn) -> dict[str, Any]:
    ignore = st.sampled_from(["all_values_are_missing", "any_value_is_missing", "never"])
    return {"column_list": draw(several(2, 3))} | draw(
        st.fixed_dictionaries({}, optional={"ignore_row_if": ignore})
    )


@st.composite
def added(draw: st.DrawFn) -> dict[str, Any]:
    names = ["small", "small2", "float", "float2"]
    some = st.lists(st.sampled_from(names), min_size=2, max_size=4, unique=True)
    total = st.sampled_from([0, 0.3, 1, 2, 0.6, 1.5])
    return draw(across()) | {"column_list": draw(some), "sum_total": draw(total)}


ANY_COLUMN = st.fixed_dictionaries({"column": st.sampled_from(SCHEMA.names)})
OR_EQUAL = st.fixed_dictionaries({}, optional={"or_equal": st.booleans()})
CASES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": st.tuples(pair("boolean"), OR_EQUAL).map(
        lambda both: both[0] | both[1]
    ),
    "expect_column_pair_values_to_be_equal": pair(),
    "expect_column_pair_values_to_be_in_set": in_pairs(),
    "expect_column_value_lengths_to_be_between": lengths(),
    "expect_column_value_lengths_to_equal": st.fixed_dictionaries(
        {"column": of("text"), "value": st.integers(0, 4)}
    ),
    "expect_column_values_to_be_between": between(),
    "expect_column_values_to_be_in_set": in_set(),
    "expect_column_values_to_be_null": ANY_COLUMN,
    "expect_column_values_to_match_regex": REGEX,
    "expect_column_values_to_match_regex_list": st.tuples(REGEX_LIST, MATCH_ON).map(
        lambda both: both[0] | both[1]
    ),
    "expect_column_values_to_not_be_in_set": in_set(),
    "expect_column_values_to_not_be_null": ANY_COLUMN,
    "expect_column_values_to_not_match_regex": REGEX,
    "expect_column_values_to_not_match_regex_list": REGEX_LIST,
    "expect_multicolumn_sum_to_equal": added(),
    "expect_multicolumn_values_to_be_equal": across(),
    "expect_select_column_values_to_be_unique_within_record": across(),
}


def test_all_that_is_compiled_is_tested() -> None:
    assert set(CASES) == set(COMPILERS)
    by_row = {name for name, kind in kinds().items() if kind["rows"] and "like" not in name}
    assert set(COMPILERS) | set(NOT_COMPILED) == by_row
    assert not set(COMPILERS) & set(NOT_COMPILED)


@pytest.mark.parametrize("kind", sorted(CASES))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_masks_say_what_great_expectations_says(
    kind: str, judge: Judge, data: st.DataObject
) -> None:
    kwargs = json.loads(json.dumps(data.draw(CASES[kind], "kwargs")))
    one = Expectation(type=kind, kwargs=kwargs)
    table = data.draw(tables(one.columns), "table")
    found = compiled(one, SCHEMA)
    if found is None:
        assert why_not(one, SCHEMA)
        return
    rows = pl.from_arrow(table)
    assert isinstance(rows, pl.DataFrame)
    rows = rows.with_columns(failing=found.failing, evaluated=found.evaluated)
    result = judge.result(one, table)
    assert result.exception_info.get("raised_exception") is False, result.exception_info
    seen = result.result
    assert rows["failing"].null_count() == rows["evaluated"].null_count() == 0
    assert rows["failing"].arg_true().to_list() == seen["unexpected_index_list"]
    evaluated = seen["element_count"] - (seen.get("missing_count") or 0)
    assert rows["evaluated"].sum() == evaluated
