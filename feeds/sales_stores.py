"""The stores that sell on a business date, how much each, and their sales drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from isopach.feeds.sales_rows import Sales, draw

Shape = Literal["zipf", "uniform", "hot"]
SITES = Path(__file__).with_name("sites.csv")


class Drawn(NamedTuple):
    """One store's sales, when it hands them over, and the generator for what comes after."""

    store: str
    zone: str
    delay: timedelta
    sales: Sales
    rng: np.random.Generator


def active_stores(sites: Path, day: date) -> pl.DataFrame:
    """Return site and time zone of the stores active on a date, in the registry's order."""
    registry = pl.read_csv(sites, schema_overrides={"active_from": pl.Date, "active_to": pl.Date})
    active = (pl.col("active_from") <= day) & (pl.col("active_to").fill_null(date.max) >= day)
    return registry.filter(active).select(pl.col("site").cast(pl.String), "time_zone")


def rows_per_store(stores: int, rows: int, shape: Shape, seed: int) -> NDArray[np.int64]:
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


def draw_stores(
    stores: pl.DataFrame, sizes: NDArray[np.int64], day: date, seed: int
) -> Iterator[Drawn]:
    """Yield each store's sales of a date, whoever asks the same for the same seed."""
    for index, (store, zone) in enumerate(stores.iter_rows()):
        rng = np.random.default_rng([seed, day.toordinal(), index])
        delay = timedelta(seconds=int(rng.integers(300, 5400)))
        yield Drawn(store, zone, delay, draw(store, day, zone, int(sizes[index]), rng), rng)
