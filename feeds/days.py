"""Business dates: the site-local calendar days, as UTC instants in microseconds since 1970."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH = date(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=1 << 16)
def day_start(day: date, zone: str) -> int:
    """Return the first instant of a local calendar day, in UTC microseconds since 1970.

    A midnight that daylight saving skips gives the instant of the jump, one that occurs twice
    gives its first occurrence; a day that a zone left out altogether has length zero.
    """
    midnight = datetime.combine(day, time(), ZoneInfo(zone))
    offset = midnight.utcoffset() or timedelta()
    return (midnight.replace(tzinfo=None) - datetime(1970, 1, 1) - offset) // MICROSECOND


def day_bounds(day: date, zone: str) -> tuple[int, int]:
    """Return the UTC interval `[start, end)` of a local calendar day, in microseconds."""
    return day_start(day, zone), day_start(day + timedelta(days=1), zone)
