"""Nights of made-up sales: any number of rows, 200 stores, known faults; the same for a seed."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import get_args

from isopach.feeds.deliveries import Delivery
from isopach.feeds.sales_faults import Night, choose, deliver_plain
from isopach.feeds.sales_rows import price_list
from isopach.feeds.sales_stores import (
    SITES,
    Shape,
    active_stores,
    draw_stores,
    rows_per_store,
)
from isopach.feeds.sales_truth import Truth, total

__all__ = ["SITES", "Shape", "Truth", "write_night"]


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
    stores = active_stores(sites, day)
    sizes = rows_per_store(stores.height, rows, shape, seed)
    prices = price_list(seed)
    shutil.rmtree(landing / "sales" / f"{day}", ignore_errors=True)
    special = choose(sizes, seed, day) if faults else {}
    found = []
    for index, (store, zone, delay, sales, rng) in enumerate(draw_stores(stores, sizes, day, seed)):
        delivery = Delivery(landing, "sales", store, zone, day, name="d1", delay=delay)
        found.append(special.get(index, deliver_plain)(Night(delivery, sales, prices, rng)))
    return total(found)


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
