from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from isopach.feeds.feed import Feed
from isopach.feeds.hooks import load_hook
from isopach.feeds.sites import Site, Sites
from isopach.transforms.batches import frame
from isopach.transforms.conform import conform, extend
from isopach.transforms.quarantine import Marks

SITES = Sites({"A": Site(site="A", name="A", time_zone="Asia/Kathmandu", deadline=time(2))})
DECLARED: dict[str, Any] = {
    "feed": "till",
    "columns": {
        "id": {"type": "string", "required": True},
        "store": {"type": "string", "required": True},
        "at": {"type": "timestamp", "required": True},
        "sku": "string",
        "shelf": "int32",
        "price": "decimal(10,2)",
    },
    "site": "store",
    "key": ["id"],
    "event_time": "at",
}
ROWS = [
    {"id": "1", "store": "A", "sku": "a", "shelf": 1, "price": Decimal("1.50")},
    {"id": "2", "store": "A", "sku": "b", "shelf": 2, "price": None},
    {"id": "3", "store": "A", "sku": None, "shelf": 1, "price": Decimal("2.25")},
    {"id": "4", "store": "A", "sku": "zz", "shelf": None, "price": Decimal(0)},
]
NOON = datetime(2026, 3, 8, 6, 15, tzinfo=UTC)


def feed(folder: Path = Path(), **changes: Any) -> Feed:
    return Feed.model_validate(DECLARED | changes, context={"folder": folder})


def stamped(declared: Feed, rows: list[dict[str, Any]] = ROWS) -> pa.RecordBatch:
    schema = pa.schema([*declared.source_schema, ("business_date", pa.date32())])
    made = [{"at": NOON, "business_date": date(2026, 3, 8), **row} for row in rows]
    return pa.RecordBatch.from_pylist(made, schema)


def extended(declared: Feed, rows: list[dict[str, Any]] = ROWS) -> pl.DataFrame:
    batch = stamped(declared, rows)
    result = extend(batch, declared)
    assert result.schema.names == [*declared.payload.names, "business_date"]
    assert pa.schema(list(result.schema)[:-1]) == declared.payload
    assert result.num_rows == batch.num_rows
    assert result.column("id").equals(batch.column("id"))
    return frame(result)


def test_columns_are_those_declared_in_their_order() -> None:
    declared = feed()
    batch = pa.record_batch({"more": [1], "price": ["1.5"], "id": [7]})
    marks = Marks(1)
    result = conform(batch, declared, SITES, marks)
    assert result.schema == declared.source_schema
    assert result.to_pylist() == [
        {
            "id": "7",
            "store": None,
            "at": None,
            "sku": None,
            "shelf": None,
            "price": Decimal("1.50"),
        }
    ]
    assert marks.marked is None


def test_zone_of_each_row_is_that_of_its_site() -> None:
    columns = DECLARED["columns"] | {"at": {"type": "timestamp", "required": True, "zone": "site"}}
    declared = feed(columns=columns)
    wall = ["2026-03-08T12:00:00"] * 3
    for site in (pa.array(["A", "B", None]), pa.array(["A", "B", None]).dictionary_encode()):
        marks = Marks(3)
        result = conform(pa.record_batch({"store": site, "at": wall}), declared, SITES, marks)
        assert result.column("at").to_pylist() == [NOON, None, None]
        assert marks.marked is not None
        assert marks.marked.tolist() == [False, True, True]
    marks = Marks(3)
    assert (
        conform(pa.record_batch({"at": wall}), declared, SITES, marks).column("at").null_count == 3
    )


def test_nothing_to_add_leaves_the_batch_as_it_is() -> None:
    declared = feed()
    batch = stamped(declared)
    assert extend(batch, declared) is batch


def test_lookup_is_a_left_join(tmp_path: Path) -> None:
    pl.DataFrame(
        {"sku": ["b", "a", None], "kind": ["bee", None, "nothing"], "n": [2, 1, 0]}
    ).write_parquet(tmp_path / "kinds.parquet")
    declared = feed(
        tmp_path,
        lookups={"kinds": {"path": "kinds.parquet", "on": ["sku"], "columns": ["kind", "n"]}},
    )
    found = extended(declared)
    assert found["kind"].to_list() == [None, "bee", None, None]
    assert found["n"].to_list() == [1, 2, None, None]


def test_lookup_by_several_columns(tmp_path: Path) -> None:
    pl.DataFrame(
        {"shelf": [1, 1, 2], "sku": ["a", "b", "b"], "size": [10, 11, 12]},
        schema_overrides={"shelf": pl.Int32},
    ).write_parquet(tmp_path / "sizes.parquet")
    declared = feed(
        tmp_path,
        lookups={"sizes": {"path": "sizes.parquet", "on": ["sku", "shelf"], "columns": ["size"]}},
    )
    assert extended(declared)["size"].to_list() == [10, 12, None, None]


def test_lookups_then_derived_columns_in_their_order(tmp_path: Path) -> None:
    pl.DataFrame({"sku": ["a", "b"], "tax": [0.25, 0.5]}).write_parquet(tmp_path / "taxes.parquet")
    declared = feed(
        tmp_path,
        lookups={"taxes": {"path": "taxes.parquet", "on": "sku", "columns": ["tax"]}},
        derive={
            "taxed": "cast(price as double) * (1 + coalesce(tax, 0))",
            "label": "id || ':' || taxed",
            "fixed": "'till'",
        },
    )
    found = extended(declared)
    assert found["taxed"].to_list() == [1.875, None, 2.25, 0.0]
    assert found["label"].to_list()[:2] == ["1:1.875", None]
    assert found["fixed"].to_list() == ["till"] * 4


def test_constant_column_is_as_long_as_the_batch() -> None:
    assert extended(feed(derive={"fixed": "'till'"}))["fixed"].to_list() == ["till"] * 4
    assert extended(feed(derive={"fixed": "1"}), [])["fixed"].to_list() == []


def test_derived_type_is_the_same_for_every_batch() -> None:
    declared = feed(derive={"n": "length(sku)", "total": "price * shelf", "late": "price > 2"})
    kinds = [
        frame(extend(stamped(declared, rows), declared)).schema for rows in (ROWS, ROWS[:1], [])
    ]
    assert kinds[0] == kinds[1] == kinds[2]
    assert extended(declared)["total"].to_list()[:2] == [Decimal("1.50"), None]


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("till_hooks")
    monkeypatch.setitem(sys.modules, "till_hooks", module)
    load_hook.cache_clear()
    return module


def test_hook_changes_values_before_lookups_and_derived_columns(hooks: ModuleType) -> None:
    hooks.__dict__["tidy"] = lambda rows: rows.with_columns(pl.col("sku").str.to_uppercase())
    declared = feed(hook="till_hooks:tidy", derive={"label": "sku || '!'"})
    found = extended(declared)
    assert found["sku"].to_list() == ["A", "B", None, "ZZ"]
    assert found["label"].to_list() == ["A!", "B!", None, "ZZ!"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda rows: rows.head(1),
        lambda rows: rows.vstack(rows),
        lambda rows: rows.drop("sku"),
        lambda rows: rows.with_columns(more=1),
        lambda rows: rows.select(reversed(rows.columns)),
        lambda rows: rows.with_columns(pl.col("shelf").cast(pl.Int64)),
        lambda rows: rows.lazy(),
        lambda rows: None,
    ],
    ids=["fewer", "more", "without", "with", "order", "type", "lazy", "nothing"],
)
def test_hook_must_keep_rows_columns_and_types(hooks: ModuleType, wrong: Any) -> None:
    hooks.__dict__["tidy"] = wrong
    declared = feed(hook="till_hooks:tidy")
    with pytest.raises(ValueError, match="till_hooks:tidy must return a frame with the same"):
        extend(stamped(declared), declared)


def test_hook_is_loaded_by_its_dotted_name(hooks: ModuleType) -> None:
    hooks.__dict__["tidy"] = len
    assert load_hook("till_hooks:tidy") is len
    assert load_hook("os.path:join") is __import__("os").path.join


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("till_hooks:none", "'till_hooks:none': module 'till_hooks' has no attribute 'none'"),
        ("nowhere.at_all:tidy", "'nowhere.at_all:tidy': No module named 'nowhere'"),
    ],
)
def test_missing_hook_is_named(hooks: ModuleType, hook: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        load_hook(hook)


def test_derived_value_that_does_not_fit_its_cast_is_null() -> None:
    rows = [ROWS[0] | {"sku": sku} for sku in ("7", "a", None, "99999999999")]
    assert extended(feed(derive={"n": "cast(sku as int)"}), rows)["n"].to_list() == [7] + [None] * 3


def test_derived_number_is_wide_enough() -> None:
    found = extended(feed(derive={"n": "shelf * 2"}), [ROWS[0] | {"shelf": 2**31 - 1}])
    assert found["n"].to_list() == [2 * (2**31 - 1)]


@pytest.mark.xfail(strict=True, reason="whole numbers wrap around beyond 64 bits")
def test_derived_whole_number_beyond_64_bits_is_no_wrong_one() -> None:
    found = extended(feed(derive={"n": f"shelf * {2**62}"}), [ROWS[0] | {"shelf": 2}])
    assert found["n"].to_list() in ([2**63], [None])


def test_derived_decimal_beyond_38_digits_fails_no_batch() -> None:
    digits = " * ".join(["9999999999"] * 4)
    found = extended(feed(derive={"n": f"price * {digits}"}))
    assert found["n"].to_list()[1:] == [None, None, 0]
