"""The small night's feed as a stream: lines at positions, intervals of them, and what landed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from small_night import FEED, SmallNight, declare

from isopach.feeds.rules import declared_rules
from isopach.lake.places import Place
from isopach.pipelines.intervals import Interval, intervals_of
from isopach.pipelines.landing import Lander
from isopach.pipelines.logs import Poll

STREAM: dict[str, Any] = {**FEED, "lateness": {"out_of_order": "10m", "allowed": "2h"}}
HISTORY = ["_run", "run", "updated", "version", "settled_by"]
"""Columns that say by which run and when, which is not the same twice."""

Logs = Mapping[str, Sequence[str]]
"""The lines of each source, by position."""
Content = dict[str, pl.DataFrame]


@dataclass(frozen=True)
class SmallStream(SmallNight):
    """The small night's feed, its rows landed by committers."""

    @staticmethod
    def at(folder: Path) -> SmallStream:
        """Return one with an empty lake."""
        return SmallStream(folder, declare(folder, STREAM))

    def other_lake(self, name: str) -> SmallStream:
        """Return this with a lake in a folder below."""
        return SmallStream(self.folder / name, self.declaration)

    def lander(self, run: str = "run") -> Lander:
        """Return a new committer that knows nothing yet."""
        return Lander(self.lake, self.declaration.feed, self.declaration.sites, run)

    def interval(self, source: str, lines: Sequence[str], first: int, end: int) -> Interval:
        """Return what a source has in `[first, end)`, prepared."""
        (found,) = self.intervals(source, lines, first, end)
        return found

    def intervals(self, source: str, lines: Sequence[str], first: int, end: int) -> list[Interval]:
        poll = Poll(
            source, first, end, np.arange(first, end), pl.Series(lines[first:end], dtype=pl.String)
        )
        feed = self.declaration.feed
        return list(intervals_of(poll, 0, feed, self.declaration.sites, declared_rules(feed)))

    def landed_once(self, logs: Logs) -> None:
        """Land all there is by one committer in one commit."""
        lander = self.lander()
        lander.learn()
        assert lander.land(announced(logs)) == []
        assert (
            lander.land([self.interval(s, lines, 0, len(lines)) for s, lines in logs.items()]) == []
        )
        lander.flush()

    def streamed(self, shared: Iterable[str] = ()) -> Content:
        """Return what all tables say, without which run wrote it and when.

        Counts are summed over runs.

        Args:
            shared: ids that several sources have: which of them is kept depends on which landed
                first, so that they are told apart by id alone.
        """
        tables = {
            name: self.table(name)
            for name in ("records", "quarantine", "windows", "totals_by_minutes", "totals_all")
        }
        found = {name: table.drop(HISTORY, strict=False) for name, table in tables.items()}
        for name, id in (("records", "id"), ("quarantine", "key")):
            several = pl.col(id).is_in(list(shared)).fill_null(False)
            found[name] = found[name].with_columns(
                pl.when(~several).then(place).alias(place) for place in ("_source", "_position")
            )
        found["counts"] = summed(self.table("counts"))
        return {name: table.sort(table.columns) for name, table in found.items()}

    def positions(self) -> Counter[tuple[str, int]]:
        """Return how often each position of a source is stored, in records and quarantine."""
        where = ["_source", "_position", "_mode"]
        both = pl.concat(
            [self.table("records").select(where), self.table("quarantine").select(where)]
        )
        streamed = both.filter(_mode="stream").drop("_mode")
        return Counter((source, position) for source, position in streamed.iter_rows())


def summed(counts: pl.DataFrame) -> pl.DataFrame:
    """Return what the runs of streams counted together, by window."""
    figures = ["read", "accepted", "rejected", "late", "duplicate"]
    streams = counts.filter(mode="stream")
    sums = streams.group_by("site", "business_date").agg(pl.col(figures).sum())
    checks: dict[Any, list[int]] = {}
    for site, day, text in streams.select("site", "business_date", "checksum").iter_rows():
        both = checks.setdefault((site, day), [0, 0])
        both[0] = (both[0] + int(text[:16], 16)) % 2**64
        both[1] = (both[1] + int(text[16:], 16)) % 2**64
    texts = [(*window, f"{a:016x}{b:016x}") for window, (a, b) in checks.items()]
    schema = {"site": pl.String, "business_date": pl.Date, "checksum": pl.String}
    named = pl.DataFrame(texts, schema=schema, orient="row")
    return sums.join(named, on=["site", "business_date"], nulls_equal=True)


def line(site: str, id: str, at: str, **other: Any) -> str:
    """Return a row as a line; `at` is a UTC time such as `2026-03-08T12:00`."""
    row = {"id": id, "clinic": site, "at": f"{at}:00Z", "minutes": 10, "fee": "1.50", "note": None}
    return json.dumps(row | other)


def announced(logs: Logs) -> list[Interval]:
    """Return an empty interval for each source, as a stream sends of those that it finds."""
    return [Interval(source, 0, 0, 0) for source in logs]


def once_each(logs: Logs) -> Counter[tuple[str, int]]:
    """Return every position of all sources, once."""
    return Counter({(source, n): 1 for source, lines in logs.items() for n in range(len(lines))})


def assert_same_streams(first: Content, second: Content) -> None:
    """Assert that two lakes say the same."""
    assert first.keys() == second.keys()
    for name, table in first.items():
        assert table.schema == second[name].schema
        other = second[name]
        assert table.equals(other), f"{name}: {set(table.rows()) ^ set(other.rows())}"


def lake_of(folder: Path) -> Place:
    return Place.of(folder / "lake")
