from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import apache_beam as beam
import polars as pl
import pyarrow as pa
import pytest
from apache_beam.coders import registry
from apache_beam.typehints.native_type_compatibility import convert_to_beam_type
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.transforms.batches import (
    SMALL,
    TEXT,
    BatchCoder,
    DateCoder,
    concat,
    frame,
    pack,
    repeated,
    single_batch,
    unpack,
    with_column,
)

SCHEMA = pa.schema(
    {
        "text": pa.large_string(),
        "site": TEXT,
        "count": pa.int32(),
        "price": pa.decimal128(38, 10),
        "at": pa.timestamp("us", "UTC"),
        "day": pa.date32(),
        "flag": pa.bool_(),
        "hash": pa.uint64(),
    }
)


def batch(rows: int, salt: int = 0) -> pa.RecordBatch:
    """Return a batch with nulls, whose texts do not shrink much."""
    made = [
        {
            "text": f"{n * 0x9E3779B97F4A7C15 % 2**64:x}" if n % 5 else None,
            "site": f"s{(n + salt) % 3}",
            "count": n if n % 7 else None,
            "price": Decimal(n).scaleb(-3),
            "at": datetime(2026, 3, 8, tzinfo=UTC),
            "day": date(2026, 3, 8),
            "flag": n % 2 == 0,
            "hash": 2**64 - 1 - n,
        }
        for n in range(rows)
    ]
    plain = SCHEMA.set(1, pa.field("site", pa.large_string()))
    return single_batch(pa.Table.from_pylist(made, plain).cast(SCHEMA))


@pytest.mark.parametrize("rows", [0, 1, 100, 5_000])
def test_packed_batch_comes_back(rows: int) -> None:
    given_batch = batch(rows)
    found = unpack(pack(given_batch))
    assert found.equals(given_batch)
    assert found.schema.equals(SCHEMA)
    found.validate(full=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 4_999), st.integers(1, 300))
def test_slice_comes_back_and_is_packed_alone(start: int, length: int) -> None:
    whole = batch(5_000)
    part = whole.slice(start, length)
    packed = pack(part)
    assert unpack(packed).equals(part)
    assert len(packed) < 5_000 + 200 * length
    assert len(packed) < len(pack(whole))


def test_large_batches_are_compressed_and_small_ones_not() -> None:
    column = pa.array(["the same text again"] * 10_000)
    large = pa.record_batch({"text": column})
    assert large.nbytes > SMALL
    assert len(pack(large)) < large.nbytes / 5
    small = large.slice(0, 100)
    assert len(pack(small)) > small.nbytes
    assert unpack(pack(small)).equals(small)


def test_dictionary_of_nulls_comes_back() -> None:
    nothing = pa.record_batch({"site": pa.array([None, None], pa.large_string()).cast(TEXT)})
    assert unpack(pack(nothing)).equals(nothing)
    assert unpack(pack(nothing[:0])).equals(nothing[:0])


def test_batches_have_a_coder_of_their_own() -> None:
    assert isinstance(registry.get_coder(pa.RecordBatch), BatchCoder)
    assert isinstance(registry.get_coder(date), DateCoder)
    coder = registry.get_coder(convert_to_beam_type(tuple[tuple[str, date], pa.RecordBatch]))
    key, value = coder.key_coder(), coder.value_coder()
    assert isinstance(value, BatchCoder)
    assert key.is_deterministic()
    element = (("s1", date(2026, 3, 8)), batch(10))
    found = coder.decode(coder.encode(element))
    assert found[0] == element[0]
    assert found[1].equals(element[1])


def test_coded_slice_is_as_small_as_its_rows() -> None:
    coder = registry.get_coder(convert_to_beam_type(tuple[int, pa.RecordBatch]))
    part = batch(5_000).slice(100, 3)
    assert len(coder.encode((1, part))) < 5_000
    assert coder.estimate_size((1, part)) < 5_000


def test_pickled_slice_would_drag_its_parent_along() -> None:
    fallback = beam.coders.registry.get_coder(Any)
    assert len(fallback.encode(batch(5_000).slice(100, 3))) > 50_000


@pytest.mark.parametrize("text", ["a", "", "é", None])
def test_repeated(text: str | None) -> None:
    column = repeated(text, 3)
    assert column.to_pylist() == [text] * 3
    assert column.type == TEXT
    assert repeated(text, 0).to_pylist() == []


def test_concat_joins_other_dictionaries() -> None:
    table = concat([batch(4), batch(5, salt=1), batch(0)])
    assert table.num_rows == 9
    assert all(column.num_chunks == 1 for column in table.columns)
    expected = batch(4).column("site").to_pylist() + batch(5, salt=1).column("site").to_pylist()
    assert table.column("site").to_pylist() == expected


def test_frame_has_plain_text() -> None:
    assert frame(batch(3)).schema["site"] == pl.String
    assert frame(batch(3))["site"].to_list() == ["s0", "s1", "s2"]
    assert frame(pa.Table.from_batches([batch(3)])).equals(frame(batch(3)))


def test_single_batch() -> None:
    table = pa.Table.from_batches([batch(2), batch(2)])
    assert single_batch(table.unify_dictionaries()).num_rows == 4
    assert single_batch(table[:0]).schema == SCHEMA
    assert single_batch(table[:0]).num_rows == 0


def test_with_column() -> None:
    wider = with_column(batch(2), "new", pa.array([1, 2]))
    assert wider.schema.names == [*SCHEMA.names, "new"]
    assert wider.column("new").to_pylist() == [1, 2]
