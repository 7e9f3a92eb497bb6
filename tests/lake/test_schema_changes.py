from __future__ import annotations

import threading
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from tiny import DAY, TABLE, add, rows, stored, write

from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import (
    SchemaChangeError,
    create_or_open,
    missing_columns,
    open_table,
    plain,
    scan,
    version,
)
from isopach.lake.places import Place
from isopach.lake.tables import Table


def with_fields(*fields: pa.Field, at: int = 1) -> Table:
    """Return the table with more columns, in the middle as a feed declares them."""
    given = list(TABLE.schema)
    return Table(TABLE.name, pa.schema([*given[:at], *fields, *given[at:]]))


@pytest.fixture
def lake(tmp_path: Path) -> Place:
    lake = Place.of(tmp_path)
    add(lake, write(lake, "f1", rows("a")))
    return lake


def test_added_column_is_null_in_older_rows(lake: Place) -> None:
    wider = with_fields(
        pa.field("colour", pa.large_string()), pa.field("price", pa.decimal128(10, 2))
    )
    delta = open_table(lake, TABLE)
    assert delta is not None
    assert [field.name for field in missing_columns(delta, wider)] == ["colour", "price"]
    data = rows("b").append_column("colour", pa.array(["red"], pa.large_string()))
    data = data.append_column("price", pa.nulls(1, pa.decimal128(10, 2)))
    add(lake, write(lake, "f2", data, wider), table=wider)
    found = stored(lake, wider)
    assert [(row["id"], row["colour"], row["price"]) for row in found] == [
        ("a", None, None),
        ("b", "red", None),
    ]
    assert {row["business_date"] for row in found} == {DAY}


def test_columns_that_no_commit_has_added_yet_are_null_where_they_are_read(lake: Place) -> None:
    wider = with_fields(pa.field("colour", pa.large_string()), pa.field("seen", tables.TIMESTAMP))
    before = version(lake, TABLE)
    found = scan(lake, wider).filter(pl.col("colour").is_null()).collect()
    assert found.select("id", "colour", "seen").rows() == [("a", None, None)]
    assert found.schema["seen"] == pl.Datetime("us", "UTC")
    assert version(lake, TABLE) == before


def test_column_is_added_once_by_those_who_need_it_first(lake: Place) -> None:
    wider = with_fields(pa.field("colour", pa.large_string()))
    start = threading.Barrier(6)
    failed: list[BaseException] = []

    def widen() -> None:
        start.wait(60)
        try:
            create_or_open(lake, wider)
        except BaseException as error:
            failed.append(error)

    workers = [threading.Thread(target=widen) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []
    assert version(lake, wider) == 2
    assert stored(lake, wider)[0]["colour"] is None


def test_no_new_column_no_new_version(lake: Place) -> None:
    before = version(lake, TABLE)
    create_or_open(lake, TABLE)
    assert version(lake, TABLE) == before


@pytest.mark.parametrize("kind", [pa.int32(), pa.large_string(), pa.decimal128(10, 2)])
def test_changed_type_is_refused_with_the_way_out(lake: Place, kind: pa.DataType) -> None:
    index = TABLE.schema.get_field_index("count")
    changed = Table(TABLE.name, TABLE.schema.set(index, pa.field("count", kind)))
    with pytest.raises(SchemaChangeError) as caught:
        create_or_open(lake, changed)
    assert str(caught.value) == (
        f"till/records: column 'count' is stored as int64 and declared as {plain(kind)}. Columns "
        "are only added: declare it under a new name, or write to a new lake and run its nights "
        "again"
    )
    assert version(lake, TABLE) == 1


def test_decimal_of_another_precision_is_another_type(tmp_path: Path) -> None:
    lake = Place.of(tmp_path)
    narrow, wide = (Table("t", pa.schema({"p": pa.decimal128(n, 2)}), ()) for n in (10, 12))
    create_or_open(lake, narrow)
    with pytest.raises(SchemaChangeError, match=r"decimal128\(10, 2\) and declared as"):
        create_or_open(lake, wide)


def test_column_that_is_no_longer_declared_is_refused_with_the_way_out(lake: Place) -> None:
    fewer = Table(TABLE.name, TABLE.schema.remove(TABLE.schema.get_field_index("count")))
    with pytest.raises(SchemaChangeError) as caught:
        create_or_open(lake, fewer)
    assert str(caught.value) == (
        "till/records: column 'count' is stored and no longer declared. Columns are only added: "
        "keep it in the feed, without `required`"
    )


def test_texts_are_one_type_however_they_are_held() -> None:
    kinds = [pa.string(), pa.large_string(), pa.string_view()]
    kinds += [pa.dictionary(pa.int32(), kind) for kind in kinds[:2]]
    assert {plain(kind) for kind in kinds} == {pa.string()}
    assert plain(pa.int32()) == pa.int32()


def test_feed_that_gains_columns_keeps_its_table(tmp_path: Path) -> None:
    declared = {
        "feed": "till",
        "columns": {
            "id": {"type": "string", "required": True},
            "store": {"type": "string", "required": True},
            "at": {"type": "timestamp", "required": True},
            "note": "string",
        },
        "derive": {"size": "length(note)"},
        "site": "store",
        "key": ["id"],
        "event_time": "at",
    }
    lake = Place.of(tmp_path)
    for _ in range(2):
        create_or_open(lake, tables.records("till", Feed.model_validate(declared).payload))
    columns = {**declared["columns"], "paid": "boolean"}  # type: ignore[dict-item]
    more = declared | {"columns": columns, "derive": {"size": "length(note)", "twice": "size * 2"}}
    table = tables.records("till", Feed.model_validate(more).payload)
    delta = create_or_open(lake, table)
    assert {field.name for field in delta.schema().fields} == set(table.schema.names)
    changed = more | {"derive": {"size": "note || '!'", "twice": "length(note)"}}
    other = tables.records("till", Feed.model_validate(changed).payload)
    with pytest.raises(SchemaChangeError, match="column 'size' is stored as int64"):
        create_or_open(lake, other)
