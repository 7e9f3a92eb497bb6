from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import DAY, TABLE, add, rows, stored, write

from isopach.lake.commits import open_table, scan
from isopach.lake.files import ROW_GROUP, DataFile, partition_value, write_file
from isopach.lake.places import Place
from isopach.lake.tables import Table


def plain(**columns: tuple[pa.DataType, list[Any]]) -> tuple[Table, pa.Table]:
    """Return a table without partitions, and its rows."""
    table = Table("plain", pa.schema({name: kind for name, (kind, _) in columns.items()}), ())
    return table, pa.table({name: pa.array(v, k) for name, (k, v) in columns.items()})


def bounds(lake: Path, kind: pa.DataType, values: list[Any]) -> tuple[Any, Any, int]:
    table, data = plain(x=(kind, values))
    stats = json.loads(write_file(Place.of(lake), table, data, "file").stats)
    assert stats["numRecords"] == len(values)
    return stats["minValues"].get("x"), stats["maxValues"].get("x"), stats["nullCount"]["x"]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (pa.large_string(), ["b", "a", None], ("a", "b", 1)),
        (pa.large_string(), ["é", "z", "😀"], ("z", "😀", 0)),
        (pa.large_string(), ["", "x" * 64], ("", "x" * 64, 0)),
        (pa.large_string(), ["a", "x" * 65], (None, None, 0)),  # cut, it would be wrong
        (pa.int32(), [7, -5, None], (-5, 7, 1)),
        (pa.int64(), [2**63 - 1, -(2**63)], (-(2**63), 2**63 - 1, 0)),
        (pa.float64(), [1.5, -2.5, None], (-2.5, 1.5, 1)),
        (pa.float64(), [1.5, math.inf], (None, None, 0)),
        (pa.float64(), [math.nan], (None, None, 0)),
        (pa.decimal128(10, 2), [Decimal("19.99"), Decimal("-0.01")], (-0.01, 19.99, 0)),
        (pa.decimal128(38, 2), [Decimal("9" * 20), Decimal(1)], (None, None, 0)),
        (pa.date32(), [date(2026, 3, 8), date(1, 1, 2)], ("0001-01-02", "2026-03-08", 0)),
        (
            pa.timestamp("us", "UTC"),
            [datetime(2026, 3, 8, 1, 2, 3, 456789, UTC), datetime(1, 1, 2, tzinfo=UTC)],
            ("0001-01-02T00:00:00.000000Z", "2026-03-08T01:02:03.456789Z", 0),
        ),
        (pa.bool_(), [True, False, None], (None, None, 1)),
        (pa.int32(), [None, None], (None, None, 2)),
    ],
)
def test_statistics_of_each_type(
    tmp_path: Path, kind: pa.DataType, values: list[Any], expected: tuple[Any, Any, int]
) -> None:
    assert bounds(tmp_path, kind, values) == expected


def test_statistics_are_over_all_row_groups(tmp_path: Path) -> None:
    numbers = [*range(ROW_GROUP), None, -3, None]
    assert bounds(tmp_path, pa.int64(), numbers) == (-3, ROW_GROUP - 1, 2)
    groups = pq.read_metadata(tmp_path / "plain" / "file.parquet").num_row_groups
    assert groups == 2


def test_row_group_without_bounds_leaves_none(tmp_path: Path) -> None:
    numbers = [1.0] * ROW_GROUP + [math.nan]
    assert bounds(tmp_path, pa.float64(), numbers) == (None, None, 0)
    numbers = [1.0] * ROW_GROUP + [None]
    assert bounds(tmp_path, pa.float64(), numbers) == (1.0, 1.0, 1)


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.none() | st.decimals(-(10**8) + 1, 10**8 - 1, places=2), min_size=1))
def test_bounds_of_decimals_hold_their_values(
    tmp_path_factory: pytest.TempPathFactory, values: list[Decimal | None]
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    low, high, nulls = bounds(folder, pa.decimal128(10, 2), values)
    known = [value for value in values if value is not None]
    assert nulls == len(values) - len(known)
    if known:
        assert Decimal(repr(low)) == min(known)
        assert Decimal(repr(high)) == max(known)


COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.large_string(), st.text(max_size=70)),
    "number": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "ratio": (pa.float64(), st.floats(allow_nan=False)),
    "price": (pa.decimal128(38, 4), st.decimals(-(10**30), 10**30, places=4)),
    "day": (pa.date32(), st.dates()),
    "at": (
        pa.timestamp("us", "UTC"),
        st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 29), timezones=st.just(UTC)),
    ),
    "flag": (pa.bool_(), st.booleans()),
}


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_readers_that_skip_files_find_every_row(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lake = Place.of(tmp_path_factory.mktemp("lake"))
    strategy = st.fixed_dictionaries({n: st.none() | s for n, (_, s) in COLUMNS.items()})
    files = data.draw(st.lists(st.lists(strategy, min_size=1, max_size=4), min_size=1, max_size=3))
    table = Table("plain", pa.schema({name: kind for name, (kind, _) in COLUMNS.items()}), ())
    tables = [pa.Table.from_pylist(some, table.schema) for some in files]
    add(lake, *(write(lake, f"f{n}", one, table) for n, one in enumerate(tables)), table=table)
    delta = open_table(lake, table)
    assert delta is not None
    everything = pl.from_arrow(pa.concat_tables(tables))
    assert isinstance(everything, pl.DataFrame)
    name = data.draw(st.sampled_from([*COLUMNS]))
    value = data.draw(st.sampled_from([row[name] for some in files for row in some]))
    wanted = pl.col(name).is_null() if value is None else pl.col(name) == value
    expected = everything.filter(wanted).height
    assert pl.scan_delta(delta).filter(wanted).collect().height == expected > 0
    if value is not None:
        at_least = pl.col(name) >= value
        assert (
            pl.scan_delta(delta).filter(at_least).collect().height
            == everything.filter(at_least).height
        )


def test_engine_of_the_tables_prunes_by_the_statistics(tmp_path: Path) -> None:
    lake = Place.of(tmp_path)
    table, first = plain(n=(pa.int64(), [1, 5]), s=(pa.large_string(), ["a", "f"]))
    second = pa.table(
        {"n": pa.array([6, 9], pa.int64()), "s": pa.array(["g", "m"], pa.large_string())}
    )
    one, other = write(lake, "one", first, table), write(lake, "other", second, table)
    add(lake, one, other, table=table)
    (tmp_path / "plain" / other.path).unlink()  # so that reading it would fail
    delta = open_table(lake, table)
    assert delta is not None
    dataset = delta.to_pyarrow_dataset()
    for chosen in (ds.field("n") < 6, ds.field("s") <= "f", ds.field("n") == 5):
        assert dataset.to_table(filter=chosen, use_threads=False).num_rows > 0
    with pytest.raises(OSError, match="other"):
        dataset.to_table(filter=ds.field("n") == 6, use_threads=False)


def test_delta_reads_the_statistics_as_they_are(tmp_path: Path) -> None:
    lake = Place.of(tmp_path)
    at = datetime(2026, 3, 8, 1, 2, 3, 456789, UTC)
    table, data = plain(
        number=(pa.int64(), [2**63 - 1, None]),
        price=(pa.decimal128(10, 2), [Decimal("19.99"), None]),
        day=(pa.date32(), [DAY, None]),
        at=(pa.timestamp("us", "UTC"), [at, None]),
        ratio=(pa.float64(), [0.1, None]),
    )
    add(lake, write(lake, "file", data, table), table=table)
    delta = open_table(lake, table)
    assert delta is not None
    (found,) = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    for name, value in data.to_pylist()[0].items():
        assert found[f"min.{name}"] == found[f"max.{name}"] == value
        assert found[f"null_count.{name}"] == 1
    assert found["num_records"] == 2


@pytest.mark.parametrize("text", ["a", "é", "😀", "𠮷野家", "\U0010ffff", "\uffff", 'a"\\\n\x01'])
def test_text_in_any_script_is_found(tmp_path: Path, text: str) -> None:
    lake = Place.of(tmp_path)
    add(lake, write(lake, "f1", rows([text])))
    assert scan(lake, TABLE).filter(pl.col("id") == text).collect().height == 1
    assert scan(lake, TABLE).filter(pl.col("id") != text).collect().height == 0


def test_file_is_described_as_it_is(tmp_path: Path) -> None:
    lake = Place.of(tmp_path)
    windows = (("A", "2026-03-08"),)
    file = write_file(lake, TABLE, rows("ab"), "f1", windows)
    path = tmp_path / "till" / "records" / "business_date=2026-03-08" / "f1.parquet"
    assert file.path == "business_date=2026-03-08/f1.parquet"
    assert (file.rows, file.size, file.windows) == (2, path.stat().st_size, windows)
    assert file.partition == {"business_date": "2026-03-08"}
    assert pq.read_schema(path).names == ["id", "count", "site"]
    assert DataFile.from_json(json.loads(json.dumps(file.as_json()))) == file


def test_columns_may_come_in_any_order_and_as_dictionaries(tmp_path: Path) -> None:
    lake = Place.of(tmp_path)
    data = rows("ab").select(["business_date", "site", "count", "id"])
    data = data.set_column(1, "site", data.column("site").dictionary_encode())
    add(lake, write_file(lake, TABLE, data, "f1", unlike=["id"]))
    assert [row["id"] for row in stored(lake)] == ["a", "b"]


def test_null_partition(tmp_path: Path) -> None:
    lake = Place.of(tmp_path)
    file = write(lake, "f1", rows("a", day=None))
    assert file.path == "business_date=__HIVE_DEFAULT_PARTITION__/f1.parquet"
    assert file.partition == {"business_date": None}
    add(lake, file, write(lake, "f2", rows("b")))
    assert [(row["id"], row["business_date"]) for row in stored(lake)] == [("a", None), ("b", DAY)]


@pytest.mark.parametrize(
    "value",
    ["a b", "a/b", "a%20b", "é", "..", ".a", "-a", "a=b", "#a", "a?b", "*", "a'b", "", "a\n"],
)
def test_partition_that_is_no_name_for_a_folder_is_refused(tmp_path: Path, value: str) -> None:
    table = Table("t", pa.schema({"n": pa.int64(), "p": pa.large_string()}), ("p",))
    data = pa.table({"n": [1], "p": pa.array([value], pa.large_string())})
    with pytest.raises(ValueError, match="cannot be a partition"):
        write(Place.of(tmp_path), "f1", data, table)
    assert [*tmp_path.rglob("*.parquet")] == []


@pytest.mark.parametrize("value", ["a", "A-1", "a.b", "0", "_x", "2026-03-08"])
def test_partition_that_is_a_name(tmp_path: Path, value: str) -> None:
    lake = Place.of(tmp_path)
    table = Table("t", pa.schema({"n": pa.int64(), "p": pa.large_string()}), ("p",))
    data = pa.table({"n": [1], "p": pa.array([value], pa.large_string())})
    add(lake, write(lake, "f1", data, table), table=table)
    assert stored(lake, table) == [{"n": 1, "p": value}]
    assert partition_value(value) == value
