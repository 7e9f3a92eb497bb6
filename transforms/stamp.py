"""Stamp rows with their site and site-local business date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from isopach.feeds.days import EPOCH, day_start
from isopach.feeds.sites import Sites
from isopach.transforms.batches import TEXT

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY = 86_400_000_000


def encoded(column: pa.Array) -> pa.DictionaryArray:
    """Return a text column as a dictionary."""
    return column.dictionary_encode().cast(TEXT)


def unknown_sites(site: pa.DictionaryArray, sites: Sites) -> NDArray[np.bool_]:
    """Tell which rows name a site that is not registered (null included)."""
    return _rows_but(site, lambda name: name in sites)


def other_sites(site: pa.DictionaryArray, own: str) -> NDArray[np.bool_]:
    """Tell which rows name another site than one (null included)."""
    return _rows_but(site, lambda name: name == own)


def _rows_but(site: pa.DictionaryArray, fits: Callable[[str], bool]) -> NDArray[np.bool_]:
    """Tell which rows have no site, or one that does not fit."""
    odd = np.array([not fits(name) for name in site.dictionary.to_pylist()] + [True])
    return odd[site.indices.fill_null(len(odd) - 1).to_numpy(False)]


def business_dates(times: pa.Array, site: pa.DictionaryArray, sites: Sites) -> NDArray[np.int32]:
    """Return the site-local date of each event time, in days since 1970.

    Args:
        times: UTC microseconds; a null or a row of an unknown site gives an arbitrary date.
    """
    instants = times.view(pa.int64()).fill_null(0).to_numpy(False)
    names = site.dictionary.to_pylist()
    zones = [sites.zone(name) for name in names] or ["UTC"]
    if len(set(zones)) == 1:
        return local_dates(instants, zones[0])
    result = np.zeros(len(instants), np.int32)
    numbered = {zone: number for number, zone in enumerate(dict.fromkeys(zones))}
    of_site = np.array([numbered[zone] for zone in zones])
    of_row = of_site[site.indices.fill_null(0).to_numpy(False)]
    for zone, number in numbered.items():
        rows = np.flatnonzero(of_row == number)
        result[rows] = local_dates(instants[rows], zone)
    return result


def window_bounds(
    site: pa.DictionaryArray, days: NDArray[np.int32], sites: Sites
) -> NDArray[np.int64]:
    """Return start and end of each row's window, UTC microseconds, as an array of shape (2, rows).

    Args:
        days: business dates, in days since 1970.
    """
    names = site.dictionary.to_pylist()
    codes = site.indices.to_numpy(False).astype(np.int64)
    pairs = pa.array(codes << 32 | (days.astype(np.int64) + (1 << 30))).dictionary_encode()
    bounds = [
        sites.window(names[pair >> 32], calendar((pair & 0xFFFFFFFF) - (1 << 30)))
        for pair in pairs.dictionary.to_pylist()
    ]
    return np.array(bounds, np.int64).reshape(-1, 2).T[:, pairs.indices.to_numpy()]


def local_dates(instants: NDArray[np.int64], zone: str) -> NDArray[np.int32]:
    """Return the local calendar date, in days since 1970, of UTC microseconds in one zone.

    Looks each instant up among the starts of the local days around it, so that days of 23 and 25
    hours come out right at the cost of one binary search.
    """
    if not len(instants):
        return np.zeros(0, np.int32)
    low, high = int(instants.min()) // DAY, int(instants.max()) // DAY
    near = np.arange(low - 1, high + 3)
    if len(near) > 32:  # outliers: only the days that occur, and their neighbours
        seen = np.unique(instants // DAY)
        near = np.unique(np.concatenate([seen - 1, seen, seen + 1, seen + 2]))
    near = near[(near >= day_number(date.min)) & (near <= day_number(date.max))]
    starts = np.array([day_start(calendar(int(day)), zone) for day in near])
    found: NDArray[np.int32] = near[np.searchsorted(starts, instants, "right") - 1].astype(np.int32)
    return found


def calendar(day: int) -> date:
    """Return the date that is this many days after 1970-01-01."""
    return EPOCH + timedelta(days=day)


def day_number(day: date) -> int:
    """Return the number of days from 1970-01-01 to a date."""
    return (day - EPOCH).days
