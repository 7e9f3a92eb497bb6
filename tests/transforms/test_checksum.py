from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isopach.transforms import checksum as module
from isopach.transforms.checksum import checksum, column_hashes, row_hashes

SCHEMA = pa.schema(
    {
        "text": pa.large_string(),
        "site": pa.dictionary(pa.int32(), pa.large_string()),
        "flag": pa.bool_(),
        "small": pa.int32(),
        "large": pa.int64(),
        "ratio": pa.float64(),
        "price": pa.decimal128(38, 10),
        "day": pa.date32(),
        "at": pa.timestamp("us", "UTC"),
    }
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(max_size=12),
    "site": st.sampled_from(["A", "B", ""]),
    "flag": st.booleans(),
    "small": st.integers(-(2**31), 2**31 - 1),
    "large": st.integers(-(2**63), 2**63 - 1),
    "ratio": st.floats(),
    "price": st.decimals(-(10**27), 10**27, places=10),
    "day": st.dates(),
    "at": st.datetimes(timezones=st.just(UTC)),
}
ROWS = st.fixed_dictionaries({name: st.none() | kind for name, kind in VALUES.items()})
TABLES = st.lists(ROWS, min_size=1, max_size=12)
NAMES = SCHEMA.names
WIDE = pa.decimal128(38, 2)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    plain = SCHEMA.set(1, pa.field("site", pa.large_string()))
    made = pa.Table.from_pylist([*rows, {"site": "A"}], plain)
    return made.cast(SCHEMA).combine_chunks()[: len(rows)]


def of(rows: list[dict[str, Any]]) -> tuple[int, int]:
    return checksum(table(rows), NAMES)


def added(*parts: tuple[int, int]) -> tuple[int, int]:
    first, second = (sum(column) % 2**64 for column in zip(*parts, strict=True))
    return first, second


@settings(max_examples=60, deadline=None)
@given(TABLES, st.randoms(use_true_random=False), st.integers(0, 12), st.integers(1, 5))
def test_order_and_batching_do_not_matter(
    rows: list[dict[str, Any]], random: Any, cut: int, size: int
) -> None:
    expected = of(rows)
    shuffled = random.sample(rows, len(rows))
    assert of(shuffled) == expected
    whole = table(rows)
    assert added(*(checksum(part, NAMES) for part in whole.to_batches(size))) == expected
    assert added(checksum(whole[:cut], NAMES), checksum(whole[cut:], NAMES)) == expected
    chunked = pa.concat_tables([table(shuffled[:cut]), table(shuffled[cut:])])
    assert checksum(chunked.unify_dictionaries(), NAMES) == expected


@settings(max_examples=40, deadline=None)
@given(TABLES, st.integers(0, 9), st.integers(0, 9))
def test_a_slice_is_what_it_shows(rows: list[dict[str, Any]], before: int, after: int) -> None:
    padding = table([{name: None for name in NAMES}]).slice(0, 1)
    other = pa.concat_tables([padding] * 9 + [table(rows)] + [padding] * 9).unify_dictionaries()
    inside = other.combine_chunks().slice(9, len(rows))
    assert checksum(inside, NAMES) == of(rows)
    wider = inside.to_batches()[0]
    assert checksum(wider, NAMES) == of(rows)
    alone = [row_hashes(wider.slice(i, 1), NAMES)[0, 0] for i in range(len(rows))]
    assert row_hashes(wider, NAMES)[0].tolist() == alone


@settings(max_examples=60, deadline=None)
@given(TABLES, st.data())
def test_any_changed_value_shows(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(NAMES))
    value = data.draw(st.none() | VALUES[name])
    before = table(rows).column(name)[number]
    changed = [*rows]
    changed[number] = rows[number] | {name: value}
    after = table(changed).column(name)[number]
    same = before.equals(after) or (name == "ratio" and _same(before.as_py(), after.as_py()))
    assert (of(changed) == of(rows)) == same


def _same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return first == second or (np.isnan(first) and np.isnan(second))  # type: ignore[return-value]


@settings(max_examples=40, deadline=None)
@given(TABLES, st.data())
def test_rows_left_out_doubled_or_mixed_up_show(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(rows) - 1))
    first, second = of(rows)
    fewer, more = of(rows[:number] + rows[number + 1 :]), of([*rows, rows[number]])
    assert fewer[0] != first
    assert fewer[1] != second
    assert more[0] != first
    assert more[1] != second
    assert of([*rows, *rows]) == added((first, second), (first, second))


def test_values_that_move_to_another_row_or_column_show() -> None:
    schema = pa.schema({"a": pa.int64(), "b": pa.int64()})
    tables = [
        pa.Table.from_pylist([{"a": a, "b": b}, {"a": c, "b": d}], schema)
        for a, b, c, d in [(1, 2, 3, 4), (1, 4, 3, 2), (2, 1, 4, 3), (2, 1, 3, 4), (1, 2, 1, 2)]
    ]
    assert len({checksum(one, ["a", "b"]) for one in tables}) == len(tables)


@settings(max_examples=30, deadline=None)
@given(TABLES, st.permutations(NAMES))
def test_order_of_columns_does_not_matter(rows: list[dict[str, Any]], names: list[str]) -> None:
    assert checksum(table(rows), names) == of(rows)
    assert checksum(table(rows).select(names), names) == of(rows)


@settings(max_examples=30, deadline=None)
@given(TABLES, st.sampled_from([pa.int32(), pa.large_string(), pa.decimal128(10, 2), pa.bool_()]))
def test_column_added_later_does_not_change_older_rows(
    rows: list[dict[str, Any]], kind: pa.DataType
) -> None:
    wider = table(rows).append_column("new", pa.nulls(len(rows), kind))
    assert checksum(wider, [*NAMES, "new"]) == of(rows)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.text(max_size=9), max_size=9))
def test_every_way_to_hold_text_gives_the_same(texts: list[str | None]) -> None:
    expected = column_hashes(pa.array(texts, pa.large_string())).tolist()
    others = [
        pa.array(texts, pa.string()),
        pa.array([*texts, "in the dictionary"], pa.string()).dictionary_encode()[:-1],
        pa.array([*texts, "x"], pa.large_string()).dictionary_encode()[:-1],
        pa.chunked_array([texts[:3], texts[3:]], pa.large_string()),
    ]
    assert [column_hashes(other).tolist() for other in others] == [expected] * len(others)


def test_null_in_a_dictionary_is_null() -> None:
    inside = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["a", None]))
    plain = pa.array(["a", None, None])
    assert column_hashes(inside).tolist() == column_hashes(plain).tolist()


def test_zeros_are_alike_and_so_are_nans() -> None:
    bits = np.array([0xFFF8000000000000, 0x7FF8000000000001, 0x7FF8000000000000], np.uint64)
    assert len(set(column_hashes(pa.array(bits.view(np.float64))).tolist())) == 1
    plus, minus = column_hashes(pa.array([0.0, -0.0]))
    assert plus == minus
    assert len(set(column_hashes(pa.array([0.0, float("nan"), 1.0, -1.0, None])).tolist())) == 5


def test_signalling_nan_is_a_nan() -> None:
    bits = np.array([0x7FF0000000000001, 0x7FF8000000000000], np.uint64)
    first, second = column_hashes(pa.array(bits.view(np.float64)))
    assert first == second


def test_nulls_alone_in_a_dictionary() -> None:
    nothing = pa.array([None, None], pa.large_string()).dictionary_encode()
    assert column_hashes(nothing).tolist() == [0, 0]


def test_zero_is_not_null() -> None:
    for zero in (0, 0.0, False, "", Decimal(0), date(1970, 1, 1)):
        hashes = column_hashes(pa.array([zero, None]))
        assert hashes[0] != 0
        assert hashes[1] == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(10**38) + 1, 10**38 - 1), min_size=1, max_size=20, unique=True))
def test_decimals_of_all_sizes_differ(unscaled: list[int]) -> None:
    steps = (0, 2**64, -(2**64), 2**63)
    near = sorted({n + step for n in unscaled for step in steps if abs(n + step) < 10**38})
    with localcontext(prec=40):
        column = pa.array([Decimal(n).scaleb(-2) for n in near], WIDE)
    assert len(set(column_hashes(column).tolist())) == len(near)


@settings(max_examples=60, deadline=None)
@example([2**63, 0])
@given(st.lists(st.integers(-(10**38) + 1, 10**38 - 1), min_size=1, max_size=9))
def test_decimal_has_its_hash_whatever_stands_beside_it(unscaled: list[int]) -> None:
    with localcontext(prec=40):
        column = pa.array([Decimal(n).scaleb(-2) for n in unscaled], WIDE)
    alone = [column_hashes(column[i : i + 1])[0] for i in range(len(column))]
    assert column_hashes(column).tolist() == alone


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9), st.integers(0, 5))
def test_decimal_keeps_its_hash_when_its_precision_grows(unscaled: list[int], skip: int) -> None:
    numbers = [Decimal(n) for n in unscaled]
    narrow, wide = pa.array(numbers, pa.decimal128(19, 0)), pa.array(numbers, pa.decimal128(38, 0))
    assert column_hashes(narrow[skip:]).tolist() == column_hashes(wide[skip:]).tolist()
    assert column_hashes(narrow).tolist() == column_hashes(pa.array(unscaled, pa.int64())).tolist()


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        dict.fromkeys(NAMES)
        | {"text": f"t{n}", "small": n % 7, "site": "AB"[n % 2], "ratio": n / 3}
        for n in range(1000)
    ]
    whole = row_hashes(table(rows), NAMES, seeds=2)
    monkeypatch.setattr(module, "BLOCK", 37)
    assert (row_hashes(table(rows), NAMES, seeds=2) == whole).all()
    assert len(np.unique(whole)) == 2000


def test_both_seeds_are_independent() -> None:
    first, second = of([dict.fromkeys(NAMES) | {"small": 1}])
    assert first != second
    assert row_hashes(table([dict.fromkeys(NAMES)]), NAMES, seeds=2).shape == (2, 1)


def test_no_rows_give_zero() -> None:
    assert checksum(SCHEMA.empty_table(), NAMES) == (0, 0)


GOLDEN: list[tuple[Any, pa.DataType, int]] = [
    (None, pa.int64(), 0),
    ("", pa.large_string(), 0x2D06800538D394C2),  # as published with XXH3
    ("a", pa.large_string(), 0xE6C632B61E964E1F),
    ("Zürich 😀", pa.string(), 0xEC9D503B89B75901),
    ("x" * 300, pa.large_string(), 0xA5D1B4607DC83554),
    (False, pa.bool_(), 0x9CA066F1A4AB2EEA),
    (True, pa.bool_(), 0xE5FDC025E13EEED5),
    (0, pa.int32(), 0x9CA066F1A4AB2EEA),
    (1, pa.int32(), 0xE5FDC025E13EEED5),
    (-1, pa.int64(), 0x25B775FAECA8F520),
    (2**63 - 1, pa.int64(), 0xC08BD8386A9CE924),
    (0.0, pa.float64(), 0x9CA066F1A4AB2EEA),
    (0.1, pa.float64(), 0x7131A33857CF5412),
    (float("nan"), pa.float64(), 0xCA444EE883B278F5),
    (Decimal("19.99"), pa.decimal128(10, 2), 0x15FCEB8ED5EE8FAF),
    (Decimal("-19.99"), pa.decimal128(10, 2), 0x8A3C65878AF42E6F),
    (Decimal(2**64), pa.decimal128(38, 0), 0x5B9A6EBA30AEDEE8),
    (Decimal(-(2**64)), pa.decimal128(38, 0), 0x76E869957626605),
    (Decimal("9" * 38), pa.decimal128(38, 0), 0xB9F0A56ED6C160DB),
    (date(2026, 3, 8), pa.date32(), 0xC4A45D18F46D5F1C),
    (datetime(2026, 3, 8, 12, tzinfo=UTC), pa.timestamp("us", "UTC"), 0x68818CE514316AF5),
]


@pytest.mark.parametrize(("value", "kind", "expected"), GOLDEN)
def test_hash_of_a_value_never_changes(value: Any, kind: pa.DataType, expected: int) -> None:
    assert column_hashes(pa.array([value], kind)).tolist() == [expected]


def test_hash_of_a_row_never_changes() -> None:
    noon = datetime(2026, 3, 8, 12, tzinfo=UTC)
    rows = pa.table(
        {
            "event_id": ["e1", "e2"],
            "quantity": pa.array([3, None], pa.int32()),
            "price": pa.array([Decimal("1.50"), Decimal("-2.25")], pa.decimal128(10, 2)),
            "at": pa.array([noon, noon], pa.timestamp("us", "UTC")),
        }
    )
    assert row_hashes(rows, rows.column_names, seeds=2).tolist() == [
        [0x64A3534C7766A3F2, 0xCDD3E9DD162A8204],
        [0xDA6BB4E591AA1397, 0x262E44B57B801081],
    ]
    assert checksum(rows, rows.column_names) == (0x32773D298D9125F6, 0x99F99B0D2A2418)


def test_mixer_is_the_one_described() -> None:
    def mix(value: int) -> int:
        value = (value + 0x9E3779B97F4A7C15) % 2**64
        value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCD % 2**64
        value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53 % 2**64
        return value ^ (value >> 33)

    numbers = [0, 1, -1, 2**62, -(2**63), 123_456_789]
    hashes = column_hashes(pa.array(numbers, pa.int64())).tolist()
    assert hashes == [mix(n % 2**64) for n in numbers]
