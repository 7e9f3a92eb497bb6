from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import DAY, NEXT, TABLE, add, ids, now, paths, rows, stored, write

from isopach.lake.commits import scan, version
from isopach.lake.files import DataFile
from isopach.lake.places import Place
from isopach.lake.replace import read_file, replace_rows, to_table, upsert, write_rows
from isopach.lake.tables import Table


@pytest.fixture
def lake(tmp_path: Path) -> Place:
    return Place.of(tmp_path)


def windows(*keys: tuple[str, date | None]) -> pl.DataFrame:
    return pl.DataFrame(keys, schema={"site": pl.String, "business_date": pl.Date}, orient="row")


def mixed(lake: Place) -> list[DataFile]:
    """Commit a file of site A, one of sites A and B, one of B, and one of A on the next day."""
    both = pa.concat_tables([rows("cd"), rows("e", site="B")])
    files = [
        write(lake, "a", rows("ab")),
        write(lake, "mixed", both),
        write(lake, "b", rows("f", site="B")),
        write(lake, "next", rows("g", day=NEXT)),
    ]
    add(lake, *files)
    return files


def test_rows_are_replaced_in_one_commit_and_the_rest_stays(lake: Place) -> None:
    a, both, b, later = mixed(lake)
    before = version(lake, TABLE)
    new = write(lake, "new", rows("xyz"))
    assert replace_rows(lake, TABLE, windows(("A", DAY)), [new]) == (before or 0) + 1
    assert ids(lake) == ["e", "f", "g", "x", "y", "z"]
    left = paths(lake)
    assert {b.path, later.path, new.path} < left
    assert not {a.path, both.path} & left
    (copied,) = left - {b.path, later.path, new.path}
    (file,) = [file for file in now(lake).files if file.path == copied]
    assert read_file(lake, TABLE, file, ["id", "site"]).rows() == [("e", "B")]


def test_doing_it_again_changes_nothing(lake: Place) -> None:
    mixed(lake)
    new = write(lake, "new", rows("xyz"))
    first = replace_rows(lake, TABLE, windows(("A", DAY)), [new])
    after = paths(lake)
    assert replace_rows(lake, TABLE, windows(("A", DAY)), [new]) == first
    assert paths(lake) == after


def test_rows_that_are_not_there_change_nothing(lake: Place) -> None:
    mixed(lake)
    before, files = version(lake, TABLE), paths(lake)
    assert replace_rows(lake, TABLE, windows(("C", DAY), ("A", date(2030, 1, 1))), []) == before
    assert replace_rows(lake, TABLE, windows(), []) == before
    assert paths(lake) == files


def test_rows_are_taken_out_and_none_put_in(lake: Place) -> None:
    mixed(lake)
    replace_rows(lake, TABLE, windows(("A", DAY), ("B", DAY)), [])
    assert ids(lake) == ["g"]


def test_files_of_other_days_are_not_even_read(lake: Place) -> None:
    *_, later = mixed(lake)
    (Path(lake.path) / "till" / "records" / later.path).write_bytes(b"not to be read")
    replace_rows(lake, TABLE, windows(("A", DAY)), [])
    assert later.path in paths(lake)


def test_null_is_a_key_and_a_partition(lake: Place) -> None:
    unknown = rows("n", day=None)
    nowhere = rows("m").set_column(2, "site", pa.nulls(1, pa.large_string()))
    add(
        lake,
        write(lake, "unknown", unknown),
        write(lake, "a", rows("a")),
        write(lake, "m", nowhere),
    )
    replace_rows(lake, TABLE, windows(("A", None)), [])
    assert ids(lake) == ["a", "m"]
    replace_rows(lake, TABLE, pl.DataFrame({"site": [None]}, schema={"site": pl.String}), [])
    assert ids(lake) == ["a"]


def test_key_may_be_any_columns(lake: Place) -> None:
    mixed(lake)
    out = pl.DataFrame({"id": ["a", "e", "g"]})
    replace_rows(lake, TABLE, out, [])
    assert ids(lake) == ["b", "c", "d", "f"]


ROWS = st.lists(
    st.tuples(st.sampled_from("AB"), st.sampled_from([DAY, NEXT, None]), st.integers(0, 9)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(
    files=st.lists(ROWS, min_size=1, max_size=3),
    out=st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from([DAY, NEXT, None])), unique=True),
    new=ROWS,
)
def test_replacing_is_filtering_and_adding(
    tmp_path_factory: pytest.TempPathFactory, files: Any, out: Any, new: Any
) -> None:
    lake = Place.of(tmp_path_factory.mktemp("lake"))

    def written(some: Any, name: str) -> list[DataFile]:
        days = {day for _, day, _ in some}
        return [
            write_rows(
                lake,
                TABLE,
                pl.DataFrame(
                    [(f"{name}{n}", n, site, day) for site, day, n in some if day == chosen],
                    schema={
                        "id": pl.String,
                        "count": pl.Int64,
                        "site": pl.String,
                        "business_date": pl.Date,
                    },
                    orient="row",
                ),
            )
            for chosen in days
        ]

    add(lake, *(file for n, some in enumerate(files) for file in written(some, f"f{n}-")))
    before = scan(lake, TABLE).collect()
    fresh = written(new, "new-")
    replace_rows(lake, TABLE, windows(*out), fresh)
    kept = before.join(windows(*out), on=["site", "business_date"], how="anti", nulls_equal=True)
    added = pl.concat([read_file(lake, TABLE, file, before.columns) for file in fresh])
    expected = pl.concat([kept, added]).sort(pl.all())
    assert scan(lake, TABLE).collect().sort(pl.all()).equals(expected)


def test_upsert_writes_in_place_of_the_same_key(lake: Place) -> None:
    mixed(lake)
    new = pl.DataFrame(
        {
            "id": ["a", "z", "g"],
            "count": [7, 8, 9],
            "site": ["A"] * 3,
            "business_date": [DAY, DAY, NEXT],
        }
    )
    for _ in range(2):
        upsert(lake, TABLE, new, ["id", "site", "business_date"])
        found = {row["id"]: row["count"] for row in stored(lake)}
        assert found == {"a": 7, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 9, "z": 8}


def test_upsert_of_nothing(lake: Place) -> None:
    before = add(lake, write(lake, "a", rows("a")))
    empty = pl.DataFrame(schema={"id": pl.String, "business_date": pl.Date})
    assert upsert(lake, TABLE, empty, ["id"]) == before


def test_upsert_without_partitions(lake: Place) -> None:
    table = Table("runs", pa.schema({"run": pa.large_string(), "outcome": pa.large_string()}), ())
    for outcome in ("running", "published"):
        upsert(lake, table, pl.DataFrame({"run": ["r1"], "outcome": [outcome]}), ["run"])
    upsert(lake, table, pl.DataFrame({"run": ["r2"], "outcome": ["running"]}), ["run"])
    assert stored(lake, table) == [
        {"run": "r1", "outcome": "published"},
        {"run": "r2", "outcome": "running"},
    ]


def test_absent_columns_are_null_and_others_left_out() -> None:
    frame = pl.DataFrame({"site": ["A"], "id": ["x"], "more": [1]})
    assert to_table(frame, TABLE.schema).to_pylist() == [
        {"id": "x", "count": None, "site": "A", "business_date": None}
    ]
    assert to_table(frame, TABLE.schema).schema == TABLE.schema


def test_older_file_is_read_with_the_columns_it_lacks(lake: Place) -> None:
    add(lake, write(lake, "a", rows("a")))
    (file,) = now(lake).files
    wider = Table(TABLE.name, pa.schema([pa.field("new", pa.int32()), *TABLE.schema]))
    found = read_file(lake, wider, file, wider.schema.names)
    assert found.to_dicts() == [
        {"new": None, "id": "a", "count": 1, "site": "A", "business_date": DAY}
    ]
    assert found.schema["new"] == pl.Int32
    assert found.schema["business_date"] == pl.Date


def test_copying_rows_keeps_every_value(lake: Place) -> None:
    data = pa.concat_tables([rows("a"), rows(["𠮷", ""], site="B", count=None)])
    add(lake, write(lake, "mixed", data))
    replace_rows(lake, TABLE, windows(("A", DAY)), [])
    assert [(row["id"], row["count"]) for row in stored(lake)] == [("", None), ("𠮷", None)]


@pytest.mark.parametrize("name", ["a[b]", "a*", "my lake"])
def test_rows_are_replaced_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    lake = Place.of(tmp_path / name)
    mixed(lake)
    replace_rows(lake, TABLE, windows(("A", DAY)), [])
    assert ids(lake) == ["e", "f", "g"]


def test_days_far_apart_are_folders_of_their_own(lake: Place) -> None:
    for n in range(3):
        add(lake, write(lake, f"f{n}", rows([f"{n}"], day=DAY + timedelta(days=365 * n))))
    replace_rows(lake, TABLE, windows(("A", DAY + timedelta(days=365))), [])
    assert ids(lake) == ["0", "2"]
