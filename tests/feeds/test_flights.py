from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from isopach.feeds.days import day_bounds
from isopach.feeds.flights import (
    AIRPORTS,
    COLUMNS,
    UNLISTED_ZONE,
    airport_registry,
    load_flights,
    main,
    write_landing,
)
from isopach.feeds.load import load_declaration

UNLISTED = ["BQN", "PSE", "SJU", "STT"]


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    return load_flights()


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> Path:
    landing = tmp_path_factory.mktemp("landing")
    write_landing(landing, month="2013-01")
    return landing


def test_totals(flights: pl.DataFrame) -> None:
    assert flights.height == 336_776
    assert flights["departed_at"].null_count() == 8_255
    assert flights.filter(pl.col("dest").is_in(UNLISTED)).height == 7_602
    assert flights["dest"].n_unique() == 105


def test_flight_id_is_unique(flights: pl.DataFrame) -> None:
    assert flights["flight_id"].is_unique().all()
    assert "UA1545-EWR-2013-01-01T10:15Z" in flights["flight_id"]


def test_departure_is_schedule_plus_delay(flights: pl.DataFrame) -> None:
    known = flights.drop_nulls("departed_at")
    delay = (known["departed_at"] - known["scheduled_at"]).dt.total_minutes()
    assert (delay == known["dep_delay"]).all()


def test_business_date_is_local_to_the_destination(flights: pl.DataFrame) -> None:
    instant = pl.coalesce("departed_at", "scheduled_at").to_physical()
    spans = flights.group_by("zone", "business_date").agg(
        instant.min().alias("first"), instant.max().alias("last")
    )
    for zone, day, first, last in spans.iter_rows():
        start, end = day_bounds(day, zone)
        assert start <= first <= last < end


def test_unlisted_airports_follow_new_york(flights: pl.DataFrame) -> None:
    zones = flights.filter(pl.col("dest").is_in(UNLISTED))["zone"]
    assert zones.unique().to_list() == [UNLISTED_ZONE]


def test_declaration_matches_the_files(january: Path) -> None:
    declaration = load_declaration("flights")
    file = next(january.rglob("flights.parquet"))
    given = {name: declaration.feed.columns[name].type for name in declaration.feed.columns}
    kinds = {"string": pl.String(), "int32": pl.Int32(), "timestamp": pl.Datetime("us", "UTC")}
    assert {name: kinds[kind] for name, kind in given.items()} == COLUMNS
    assert dict(pl.read_parquet_schema(file)) == COLUMNS
    assert len(declaration.sites) == 101


def test_shipped_registry_is_what_the_package_lists(tmp_path: Path) -> None:
    airport_registry().write_csv(tmp_path / "airports.csv")
    assert (tmp_path / "airports.csv").read_text() == AIRPORTS.read_text()
    assert not set(UNLISTED) & set(pl.read_csv(AIRPORTS)["site"])


def test_landing_holds_the_month(january: Path, flights: pl.DataFrame) -> None:
    written = pl.read_parquet(january / "flights" / "*" / "*" / "d1" / "flights.parquet")
    expected = flights.filter(
        pl.col("business_date").is_between(date(2013, 1, 1), date(2013, 1, 31))
    ).select(COLUMNS.keys())
    assert written.sort("flight_id").equals(expected.sort("flight_id"))


def test_manifests_match_files(january: Path, flights: pl.DataFrame) -> None:
    found = sorted(january.rglob("manifest.json"))
    assert len(found) == (
        flights.filter(pl.col("business_date").dt.strftime("%Y-%m") == "2013-01")
        .select("business_date", "dest")
        .n_unique()
    )
    for path in found:
        manifest = json.loads(path.read_text())
        rows = pq.read_metadata(path.with_name("flights.parquet")).num_rows
        assert manifest["files"] == [{"name": "flights.parquet", "rows": rows}]
        assert manifest["rows"] == rows
        assert (manifest["business_date"], manifest["site"]) == path.parts[-4:-2]


def test_month_without_flights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no flights in month '2012-05'"):
        main(["--landing", str(tmp_path), "--month", "2012-05"])
