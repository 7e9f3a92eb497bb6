"""What the ledger has of a feed's windows, for questions about its sites."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from isopach.jobs.queries import WINDOW
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place


class NothingRunError(OSError):
    """A ledger that knows nothing of a feed."""


@dataclass(frozen=True)
class Ledger:
    """By window: states, what nights looked at and found delivered, what the stream read."""

    windows: pl.DataFrame
    nights: pl.DataFrame
    events: pl.DataFrame

    @property
    def first_night(self) -> date | None:
        """The first business date that a night looked at."""
        return _least(self.nights["business_date"])

    @property
    def first(self) -> date | None:
        """The first business date that a night looked at, or a stream has accepted rows of."""
        good = self.events.filter(pl.col("accepted") > 0)["business_date"]
        return _least(pl.concat([self.nights["business_date"], good]))


def _least(days: pl.Series) -> date | None:
    found = days.min()
    return found if isinstance(found, date) else None


def feeds_of(lake: Place) -> list[str]:
    """Return the feeds that the ledger has counts of; raises NothingRunError."""
    feeds = scan(lake, tables.COUNTS).select("feed").unique().collect()["feed"].sort().to_list()
    if not feeds:
        raise NothingRunError(f"{lake.uri}: the ledger has nothing of any feed; is --lake right?")
    return feeds


def read_ledger(lake: Place, feed: str, day: date | None) -> Ledger:
    """Return what the ledger has of a feed (up to a business date).

    Of a window's nights, `first_arrived` is of the first delivery that any of them saw, the rest
    of the last, and `settled_rows` of the one that settled it.
    """
    some = (pl.col("feed") == feed) & pl.all_horizontal(pl.col(*WINDOW).is_not_null())
    if day is not None:
        some &= pl.col("business_date") <= day
    stated = [*WINDOW, "state", "reason", "rows", "settled_by"]
    windows = scan(lake, tables.WINDOWS).filter(some).select(stated).collect()
    figures = ["read", "accepted", "delivery", "arrived"]
    read = scan(lake, tables.COUNTS).filter(some, pl.col("replay_of").is_null())
    counted = read.select(*WINDOW, "run", "mode", *figures)
    counts = counted.collect().sort("run")
    nights = counts.filter(mode="batch").join(
        windows.select(*WINDOW, "settled_by"), on=WINDOW, how="left"
    )
    made, settling = pl.col("delivery").is_not_null(), pl.col("run") == pl.col("settled_by")
    return Ledger(
        windows.drop("settled_by"),
        nights.group_by(WINDOW, maintain_order=True).agg(
            looked=pl.lit(True),
            delivered=made.any(),
            delivery=pl.col("delivery").drop_nulls().last(),
            delivered_rows=pl.col("read").filter(made).last(),
            first_arrived=pl.col("arrived").min(),
            arrived=pl.col("arrived").filter(made).last(),
            settled_rows=pl.col("read").filter(settling).last(),
        ),
        counts.filter(mode="stream")
        .group_by(WINDOW)
        .agg(
            events=pl.col("read").sum(),
            accepted=pl.col("accepted").sum(),
            landed=pl.col("arrived").max(),
        ),
    )
