from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from declaring import changed, faults, load, write

AT = "site: store\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pl.DataFrame({"sku": ["a", "b"], "kind": ["x", None], "size": [1, 2]}).write_parquet(
        tmp_path / "products.parquet"
    )
    return tmp_path


def lookup(**fields: Any) -> str:
    given = {"path": "products.parquet", "on": "sku", "columns": ["kind"]} | fields
    body = ", ".join(f"{name}: {value}" for name, value in given.items())
    return f"lookups:\n  products: {{{body}}}\n{AT}".replace("'", "")


def test_lookup_adds_columns_between_declared_and_derived(folder: Path) -> None:
    feed = load(folder, AT, lookup(columns=["kind", "size"]))
    assert feed.payload.names[-3:] == ["kind", "size", "total"]
    assert feed.payload.field("size").type == pa.int64()
    assert feed.lookups["products"].on == ("sku",)
    assert "sku" in feed.inputs


def test_derived_column_uses_looked_up_one(folder: Path) -> None:
    text = changed("count * price", "count * size", changed(AT, lookup(columns=["size"])))
    assert load(folder, "", "").payload.field("total").type != pa.int64()
    (folder / "till.yaml").write_text(text)
    assert load(folder, AT, lookup(columns=["size"])).payload.names[-2:] == ["size", "total"]


def test_delta_table_is_a_reference(tmp_path: Path) -> None:
    frame = pl.DataFrame({"store": ["A", "A"], "sku": ["a", "b"], "shelf": [1, 2]})
    frame.write_delta(tmp_path / "shelves")
    feed = load(tmp_path, AT, lookup(path="shelves", on=["store", "sku"], columns=["shelf"]))
    assert feed.lookups["products"].table.sort("sku").rows() == [("A", "a", 1), ("A", "b", 2)]


def test_types_are_brought_to_those_that_are_stored(tmp_path: Path) -> None:
    frame = pl.DataFrame({"sku": ["a"], "n": [1], "f": [0.5], "when": [datetime(2026, 1, 1)]})
    frame.with_columns(
        pl.col("sku").cast(pl.Categorical),
        pl.col("n").cast(pl.UInt8),
        pl.col("f").cast(pl.Float32),
        pl.col("when").dt.replace_time_zone("Europe/Berlin"),
    ).write_parquet(tmp_path / "products.parquet")
    feed = load(tmp_path, AT, lookup(columns=["n", "f", "when"]))
    assert [feed.payload.field(name).type for name in ("n", "f", "when")] == [
        pa.int32(),
        pa.float64(),
        pa.timestamp("us", "UTC"),
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"path": "none.parquet"},
            "lookups.products: path: FOLDER/none.parquet does not exist",
        ),
        (
            {"columns": ["kinds"]},
            "lookups.products: FOLDER/products.parquet has no column kinds; it has sku, kind, size",
        ),
        (
            {"on": "store"},
            "lookups.products: FOLDER/products.parquet has no column store; it has sku, kind, size",
        ),
        (
            {"on": "kind", "columns": ["size"]},
            "lookups.products.on: 'kind' is not a column; "
            "columns: id, store, at, day, sku, count, price, paid",
        ),
        (
            {"columns": ["sku"]},
            "lookups.products: on and columns name a column twice: sku, sku",
        ),
        ({"columns": []}, "lookups.products.columns: []: must not be empty"),
        (
            {"path": "till.yaml"},
            "lookups.products: path: FOLDER/till.yaml cannot be read as Parquet or Delta: "
            "parquet: File out of specification: The file must end with PAR1",
        ),
        (
            {"path": "."},
            "lookups.products: path: FOLDER cannot be read as Parquet or Delta: "
            "Generic delta kernel error: No files in log segment",
        ),
    ],
)
def test_bad_lookup_is_explained(folder: Path, fields: dict[str, Any], expected: str) -> None:
    (found,) = faults(write(folder, changed(AT, lookup(**fields))))
    line, message = found.split(": ", 1)
    assert message.startswith(expected.replace("FOLDER", str(folder)))
    assert line == "till.yaml:14"


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            {"sku": ["a", "a", "b"], "kind": ["x", "y", "z"]},
            "FOLDER: ['sku'] is not unique, for one ('a',)",
        ),
        (
            {"sku": ["a"], "kind": [[1]]},
            "FOLDER: column 'kind' is a List(Int64); allowed: string, ",
        ),
        ({"sku": ["a"], "kind": [None]}, "FOLDER: column 'kind' is a Null; allowed: string, "),
    ],
)
def test_bad_reference_is_explained(
    tmp_path: Path, frame: dict[str, list[Any]], expected: str
) -> None:
    pl.DataFrame(frame).write_parquet(tmp_path / "products.parquet")
    (found,) = faults(write(tmp_path, changed(AT, lookup())))
    where = f"till.yaml:14: lookups.products: {tmp_path}/products.parquet"
    assert found.startswith(expected.replace("FOLDER", where))


def test_keys_of_another_type_are_refused(tmp_path: Path) -> None:
    pl.DataFrame({"sku": [1, 2], "kind": ["x", "y"]}).write_parquet(tmp_path / "products.parquet")
    assert faults(write(tmp_path, changed(AT, lookup()))) == [
        "till.yaml:14: lookups.products.on: 'sku' is declared string, and in products.parquet "
        "it is a Int64; make them the same"
    ]


def test_looked_up_name_that_is_declared_is_refused(folder: Path) -> None:
    path = write(
        folder, changed("  sku:   {", "  kind:  {type: string}\n  sku:   {", changed(AT, lookup()))
    )
    assert faults(path) == [
        "till.yaml:15: lookups.products.columns: 'kind' is there already, as columns.kind"
    ]
