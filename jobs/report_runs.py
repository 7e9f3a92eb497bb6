"""Which run a report is of, and what of it may be shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from isopach.feeds.columns import MASK
from isopach.feeds.load import Declaration
from isopach.jobs.queries import masked
from isopach.jobs.site_ledger import NothingRunError
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.ledger import Run
from isopach.lake.places import Place

NIGHTLY = "nightly"
CADENCES = (NIGHTLY, "repair")
"""Runs over one business date that publish."""
NAMED = 5


class NoReportError(OSError):
    """A run, or a feed, that there is no report of; the message says of which there is one."""


def run_of(lake: Place, run: str | None, feed: str | None) -> Run:
    """Return a run by its id, or else the newest night; raises NoReportError, NothingRunError."""
    runs = scan(lake, tables.RUNS).sort("run", descending=True).collect()
    if runs.is_empty():
        raise NothingRunError(f"{lake.uri}: nothing was run in this lake; is --lake right?")
    some = runs if feed is None else runs.filter(feed=feed)
    nights = some.filter(pl.col("cadence").is_in(CADENCES))
    if run is not None:
        return _named(lake, runs, nights, run, feed)
    nights = nights.filter(cadence=NIGHTLY)
    feeds = nights["feed"].unique().sort().to_list()
    if not feeds:
        raise NothingRunError(f"{lake.uri}: no night{_of(feed)} was run in this lake yet")
    if len(feeds) > 1:
        raise NoReportError(f"{lake.uri}: has nights of {', '.join(feeds)}; name the feed")
    return Run(**nights.row(0, named=True))


def _named(
    lake: Place, runs: pl.DataFrame, nights: pl.DataFrame, run: str, feed: str | None
) -> Run:
    found = runs.filter(run=run)
    if found.is_empty():
        problem = "is not in the ledger"
    elif feed is not None and found["feed"][0] != feed:
        problem = f"is one of {found['feed'][0]}, not of {feed}"
    elif found["cadence"][0] not in CADENCES:
        problem = f"is a run of {found['cadence'][0]}: a report is of a business date"
    else:
        return Run(**found.row(0, named=True))
    newest = [Run(**row) for row in nights.head(NAMED).iter_rows(named=True)]
    known = ", ".join(f"{one.run} ({one.feed} {day_of_run(one)})" for one in newest) or "none"
    raise NoReportError(f"{lake.uri}: run {run!r} {problem}; the newest nights{_of(feed)}: {known}")


def _of(feed: str | None) -> str:
    return "" if feed is None else f" of {feed}"


def parameters_of_run(run: Run) -> dict[str, Any]:
    """Return what a run was started with; nothing where that cannot be read."""
    try:
        found = json.loads(run.parameters or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def day_of_run(run: Run) -> date | None:
    """Return the business date a run was over."""
    try:
        return date.fromisoformat(str(parameters_of_run(run).get("date")))
    except ValueError:
        return None


@dataclass(frozen=True)
class Masks:
    """What of rows set aside is not shown: values of sensitive columns; `known` if these are."""

    sensitive: frozenset[str]
    whole_key: bool
    known: bool = True

    def raw(self, text: str | None) -> str | None:
        """Return a raw row without them."""
        if text is None or not self.known:
            return text and MASK
        return masked(text, self.sensitive) if self.sensitive else text

    def key(self, text: str | None) -> str | None:
        """Return a row's key; masked where a column of it is sensitive."""
        return MASK if text is not None and (self.whole_key or not self.known) else text


def masks_of(run: Run, declaration: Declaration | None) -> Masks:
    """Return what is sensitive by what was declared when a run started, or is by now."""
    declared: Mapping[str, Any] = parameters_of_run(run).get("feed") or {}
    columns: Mapping[str, Any] = declared.get("columns") or {}
    sensitive = {
        name
        for name, column in columns.items()
        if isinstance(column, Mapping) and column.get("sensitive")
    }
    key = set(declared.get("key") or ())
    if declaration is not None:
        feed = declaration.feed
        sensitive |= {name for name, column in feed.columns.items() if column.sensitive}
        key |= set(feed.key)
    known = bool(columns) or declaration is not None
    return Masks(frozenset(sensitive), bool(sensitive & key), known)
