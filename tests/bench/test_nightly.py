from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake

from bench.compare import COLUMNS, difference, fingerprint
from bench.measure import measure
from bench.night import DAY, Night
from bench.peer import ALL, Peer
from bench.race import mismatch, race

ROWS = 20_000

no_cli = pytest.mark.skipif(
    importlib.util.find_spec("isopach.jobs.cli") is None, reason="no isopach.jobs.cli yet"
)
no_java = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java on the path")
MARKS = {
    "isopach": [no_cli, pytest.mark.slow],
    "pyspark": [no_java, pytest.mark.slow],
    "isopach-spark": [no_java, pytest.mark.slow],
}
PEERS = [pytest.param(peer, id=peer.name, marks=MARKS.get(peer.name, [])) for peer in ALL]
BY_HAND = [param for param in PEERS if not param.id.startswith("isopach")]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_gives_the_rows_that_must_come_out(peer: Peer, cache: Path) -> None:
    whole = replace(peer, share=1)
    result = race([whole], ROWS, "zipf", cache=cache).results[0]
    assert result.error == ""
    assert result.equal
    assert result.seconds > 0
    assert result.peak_mb > 50


SOLD = datetime(2026, 3, 8, 17, tzinfo=UTC)  # noon or morning in America, S001's New York
SALE: dict[str, Any] = {
    "event_id": "a",
    "store": "S001",
    "sold_at": SOLD,
    "sku": "SKU-1",
    "quantity": 3,
    "unit_price": Decimal("1.25"),
    "customer": None,
}
SALES = [
    SALE,
    SALE,
    SALE | {"event_id": "no quantity", "quantity": None},
    SALE | {"event_id": "other store", "store": "S002"},
    SALE | {"event_id": "first instant", "sold_at": datetime(2026, 3, 8, 5, tzinfo=UTC)},
    SALE | {"event_id": "last instant", "sold_at": datetime(2026, 3, 9, 3, 59, 59, tzinfo=UTC)},
    SALE | {"event_id": "day before", "sold_at": datetime(2026, 3, 8, 4, 59, 59, tzinfo=UTC)},
    SALE | {"event_id": "day after", "sold_at": datetime(2026, 3, 9, 4, tzinfo=UTC)},
    SALE | {"event_id": "unknown store", "store": "S999"},
    SALE | {"event_id": "no sku", "sku": None},
    SALE | {"event_id": "no store", "store": None},
    SALE | {"event_id": "no time", "sold_at": None},
    SALE | {"event_id": None},
]
SALES_TYPES = pl.Schema(
    {
        "event_id": pl.String(),
        "store": pl.String(),
        "sold_at": pl.Datetime("us", "UTC"),
        "sku": pl.String(),
        "quantity": pl.Int32(),
        "unit_price": pl.Decimal(10, 2),
        "customer": pl.String(),
    }
)


@pytest.mark.parametrize("peer", BY_HAND)
def test_a_peer_keeps_only_complete_rows_of_the_day(peer: Peer, tmp_path: Path) -> None:
    folder = tmp_path / "landing" / "sales" / f"{DAY}" / "S001" / "d1"
    folder.mkdir(parents=True)
    pl.DataFrame(SALES, schema=SALES_TYPES).write_parquet(folder / "part-0000.parquet")
    night = Night(tmp_path / "landing", len(SALES), "uniform", 5)
    measured = measure(peer.command(night, tmp_path / "out"))
    assert measured.code == 0, measured.errors
    result = pl.read_delta(str(tmp_path / "out")).sort("_position")
    assert result["event_id"].sort().to_list() == [
        "a",
        "first instant",
        "last instant",
        "no quantity",
        "other store",
    ]
    assert result["_position"].to_list()[1:] == [2, 3, 4, 5]
    expected = {"a": Decimal("3.75"), "no quantity": None}
    found = dict(result.select("event_id", "revenue").iter_rows())
    assert {key: found[key] for key in expected} == expected
    assert result["site"].to_list() == result["store"].to_list()
    assert set(result["business_date"]) == {DAY}
    assert all(source.endswith("S001/d1/part-0000.parquet") for source in result["_source"])


TABLE = pl.DataFrame(SALES[1:4], schema=SALES_TYPES).with_columns(
    revenue=pl.lit(Decimal("3.75"), pl.Decimal(20, 2)), business_date=pl.lit(DAY)
)
OTHER: dict[str, Any] = {
    "event_id": "b",
    "store": "S003",
    "sold_at": SOLD + timedelta(microseconds=1),
    "sku": "",
    "quantity": 4,
    "unit_price": Decimal("1.26"),
    "customer": "",
    "revenue": None,
    "business_date": DAY + timedelta(days=1),
}


def write(path: Path, *frames: pl.DataFrame) -> Path:
    """Write frames as one Delta table, a file or more each."""
    for frame in frames:
        write_deltalake(path, frame, mode="append", partition_by=["business_date"])
    return path


def test_the_same_rows_in_other_order_and_files_are_equal(tmp_path: Path) -> None:
    one = write(tmp_path / "one", TABLE)
    two = write(tmp_path / "two", TABLE[2:].drop("sku").with_columns(TABLE["sku"][2:]), TABLE[:2])
    assert fingerprint(one) == fingerprint(two)
    assert mismatch(one, two) == ""


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_value_is_found_in_any_column(column: str, tmp_path: Path) -> None:
    reference = write(tmp_path / "reference", TABLE)
    value = pl.lit(OTHER[column], TABLE.schema[column])
    first = pl.int_range(pl.len()) == 0
    changed = TABLE.with_columns(pl.when(first).then(value).otherwise(pl.col(column)).alias(column))
    other = write(tmp_path / "other", changed)
    assert mismatch(reference, other).startswith("1 rows missing, 1 extra, such as")


def test_a_missing_row_is_found(tmp_path: Path) -> None:
    reference = write(tmp_path / "reference", TABLE)
    other = write(tmp_path / "other", TABLE[1:])
    found = difference(reference, other)
    assert (found.missing, found.extra) == (1, 0)
    assert "'event_id': a" in found.example
    assert mismatch(reference, other) == str(found)


def test_a_doubled_row_is_found(tmp_path: Path) -> None:
    reference = write(tmp_path / "reference", TABLE)
    other = write(tmp_path / "other", TABLE, TABLE[:1])
    found = difference(reference, other)
    assert (found.missing, found.extra) == (0, 1)
    assert mismatch(reference, other) == str(found)


def test_values_swapped_between_rows_are_found(tmp_path: Path) -> None:
    reference = write(tmp_path / "reference", TABLE)
    swapped = TABLE.with_columns(pl.col("event_id").reverse())
    other = write(tmp_path / "other", swapped)
    assert mismatch(reference, other).startswith("2 rows missing, 2 extra")


def test_a_removed_file_no_longer_counts(tmp_path: Path) -> None:
    reference = write(tmp_path / "reference", TABLE)
    other = write(tmp_path / "other", TABLE[:1])
    write_deltalake(other, TABLE, mode="overwrite", partition_by=["business_date"])
    assert mismatch(reference, other) == ""


def test_no_table_at_all_is_a_mismatch(tmp_path: Path) -> None:
    reference = write(tmp_path / "reference", TABLE)
    assert mismatch(reference, tmp_path / "none").startswith("TableNotFoundError")
