"""What is settled of a feed, as of one version of its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from isopach.feeds.feed import Feed
from isopach.jobs.settled_sums import Sum, sum_of_text
from isopach.lake import tables
from isopach.lake.commits import Snapshot, newest, rows_of, scan
from isopach.lake.places import Place
from isopach.lake.windows import SETTLED

ATTEMPTS = 5


class NotAsSettledError(RuntimeError):
    """What is there is not what was settled; the message says what, and what to do."""


@dataclass(frozen=True)
class Settled:
    """The settled windows of a business date, and the version of records that they are read at.

    `windows` are rows of the ledger; `left_out` the sites that are not settled, with their state.
    """

    lake: Place
    feed: Feed
    records: Snapshot
    day: date
    windows: pl.DataFrame
    left_out: Mapping[str, str]

    @property
    def table(self) -> tables.Table:
        return tables.records(self.feed.feed, self.feed.payload)

    @property
    def sites(self) -> list[str]:
        return self.windows["site"].to_list()

    @property
    def columns(self) -> list[str]:
        """What a file has: the payload, and the site; the date stands in its folder's name."""
        return [*self.feed.payload.names, "site"]

    def recorded(self) -> dict[str, Sum]:
        """Return the rows and checksum of each site by the ledger."""
        rows = self.windows.select("site", "rows", "checksum").iter_rows()
        return {site: sum_of_text(count, text) for site, count, text in rows}


def settled_days(lake: Place, feed: Feed, days: Sequence[date] | None) -> list[Settled]:
    """Return what is settled of business dates, all in one version; raises NotAsSettledError.

    Args:
        days: None for all dates that have a settled window.
    """
    records, windows = _at_one_moment(lake, feed, days)
    return list(_chosen(lake, feed, records, windows)) if records else []


def at_version(lake: Place, feed: Feed, day: date, version: int) -> Settled | None:
    """Return what nights had settled of a business date by a version of records, None if nothing.

    The ledger is of now: the windows, and their rows, are told from the table itself.
    """
    table = tables.records(feed.feed, feed.payload)
    now = newest(lake, table)
    if now is None:
        return None
    now.delta.load_as_version(version)
    rows = rows_of(now, table).filter(pl.col("business_date") == day, pl.col("_mode") == "batch")
    windows = rows.group_by("site").agg(rows=pl.len().cast(pl.Int64)).sort("site")
    found = windows.collect(engine="streaming")
    return None if found.is_empty() else Settled(lake, feed, now, day, found, {})


def _at_one_moment(
    lake: Place, feed: Feed, days: Sequence[date] | None
) -> tuple[Snapshot | None, pl.DataFrame]:
    """Return records, and windows that were the same before and after records were looked at."""
    table, some = tables.records(feed.feed, feed.payload), pl.col("feed") == feed.feed
    some &= pl.lit(True) if days is None else pl.col("business_date").is_in(list(days))
    for _ in range(ATTEMPTS):
        before = scan(lake, tables.WINDOWS).filter(some).collect().sort("business_date", "site")
        records = newest(lake, table)
        after = scan(lake, tables.WINDOWS).filter(some).collect().sort("business_date", "site")
        if before.filter(state=SETTLED).equals(after.filter(state=SETTLED)):
            return records, after
    raise NotAsSettledError(f"{lake.uri}: {feed.feed} is being settled; run again later")


def _chosen(lake: Place, feed: Feed, records: Snapshot, windows: pl.DataFrame) -> Iterator[Settled]:
    for part in windows.partition_by("business_date", maintain_order=True):
        settled = part.filter(state=SETTLED)
        if not settled.is_empty():
            rest = dict(part.filter(pl.col("state") != SETTLED).select("site", "state").rows())
            yield Settled(lake, feed, records, part["business_date"][0], settled, rest)
