"""Nights of made-up sales: any number of rows, 200 stores, known faults; the same for a seed."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from isopach.feeds.deliveries import Delivery
from isopach.feeds.sales_faults import Night, choose, deliver_plain
from isopach.feeds.sales_rows import draw, price_list
from isopach.feeds.sales_truth import Truth, total

__all__ = ["SITES", "Shape", "Truth", "write_night"]

Shape = Literal["zipf", "uniform", "hot"]
SITES = Path(__file__).with_name("sites.csv")


def write_night(
    landing: Path,
    day: date,
    *,
    rows: int = 200_000,
    shape: Shape = "zipf",
    seed: int = 7,
    faults: bool = False,
    sites: Path = SITES,
) -> Truth:
    """Write all stores' deliveries for a business date, replacing any that are there."""
    stores = _stores(sites, day)
    sizes = _sizes(stores.height, rows, shape, seed)
    prices = price_list(seed)
    shutil.rmtree(landing / "sales" / f"{day}", ignore_errors=True)
    special = choose(sizes, seed, day) if faults else {}
    found = []
    for index, (store, zone) in enumerate(stores.iter_rows()):
        rng = np.random.default_rng([seed, day.toordinal(), index])
        delay = timedelta(seconds=int(rng.integers(300, 5400)))
        delivery = Delivery(landing, "sales", store, zone, day, name="d1", delay=delay)
        sales = draw(store, day, zone, int(sizes[index]), rng)
        found.append(special.get(index, deliver_plain)(Night(delivery, sales, prices, rng)))
    return total(found)


def _stores(sites: Path, day: date) -> pl.DataFrame:
    """Return site and time zone of the stores active on a date, in the registry's order."""
    registry = pl.read_csv(sites, schema_overrides={"active_from": pl.Date, "active_to": pl.Date})
    active = (pl.col("active_from") <= day) & (pl.col("active_to").fill_null(date.max) >= day)
    return registry.filter(active).select(pl.col("site").cast(pl.String), "time_zone")


def _sizes(stores: int, rows: int, shape: Shape, seed: int) -> NDArray[np.int64]:
    """Split exactly `rows` rows over the stores, at least one each, heaviest by the seed."""
    if rows < stores:
        raise ValueError(f"rows={rows} is fewer than the {stores} stores: give at least {stores}")
    rank = np.random.default_rng([seed, stores]).permutation(stores)
    if shape == "zipf":
        weights = 1 / (rank + 1)
    elif shape == "hot":
        weights = np.where(rank == 0, max(stores - 1, 1), 1).astype(np.float64)
    elif shape == "uniform":
        weights = np.ones(stores)
    else:
        raise ValueError(f"shape={shape!r} is not one of {', '.join(get_args(Shape))}")
    weights /= weights.sum()
    least = int(rows * weights.min() < 1)
    sizes: NDArray[np.int64] = least + ((rows - least * stores) * weights).astype(np.int64)
    sizes[np.argsort(rank)[: rows - int(sizes.sum())]] += 1
    return sizes


def main(arguments: Sequence[str] | None = None) -> None:
    """Write nights from the command line, one printed line each."""
    parser = argparse.ArgumentParser(prog="python -m isopach.feeds.sales", description=__doc__)
    parser.add_argument("--landing", type=Path, required=True, help="the landing zone's folder")
    parser.add_argument("--date", type=date.fromisoformat, required=True, help="first date")
    parser.add_argument("--nights", type=int, default=1)
    parser.add_argument("--rows", type=int, default=200_000, help="rows per night")
    parser.add_argument("--shape", choices=get_args(Shape), default="zipf")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--faults", action="store_true", help="add the known faults")
    args = parser.parse_args(arguments)
    for day in (args.date + timedelta(days=n) for n in range(args.nights)):
        truth = write_night(
            args.landing,
            day,
            rows=args.rows,
            shape=args.shape,
            seed=args.seed,
            faults=args.faults,
        )
        kinds = truth.faults["kind"].value_counts().sort("kind")
        faulty = ", ".join(f"{count} {kind}" for kind, count in kinds.iter_rows())
        print(f"{day}: {truth.rows:,} rows, {truth.accepted:,} to accept; {faulty or 'no faults'}")


if __name__ == "__main__":
    main()
