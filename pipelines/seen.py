"""What the lake knows beside the records that may explain why two runs differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import newest, scan
from isopach.lake.files import DataFile
from isopach.lake.landings import landed
from isopach.lake.places import Place
from isopach.lake.replace import read_file
from isopach.pipelines.findings import Finding
from isopach.pipelines.provisional import WINDOW
from isopach.transforms.quarantine import LATE, REJECTED

ASIDE = [
    "site",
    "row_date",
    "key",
    "disposition",
    "reason",
    "column",
    "raw",
    "_source",
    "_position",
]
KINDS = pl.col("disposition").is_in([LATE, REJECTED])
DECIDING = ("columns", "derive", "lookups", "hook")
"""Parts of a declaration that a row's values follow from."""


@dataclass(frozen=True)
class Seen:
    """What is known beside the records: rows set aside on each side, and the runs.

    `lost` has the windows whose rows are not those that were counted when they landed, and what is
    wrong (`said`); `fences` how far the stream's sources have landed.
    """

    stream: pl.DataFrame
    batch: pl.DataFrame
    versions: Mapping[str, str]
    declarations: Mapping[str, str]
    lost: pl.DataFrame
    fences: Mapping[str, int]


def look(
    lake: Place,
    feed: Feed,
    staged: Iterable[DataFile],
    days: Iterable[date],
    findings: Iterable[Finding],
    sources: Iterable[str] = (),
) -> Seen:
    """Return what the lake knows that may explain differences on some business dates.

    `sources` are those of the night's rows, of which some may be the stream's own.

    Of rows set aside whose date or site could not be read all are looked at: some thousandths of a
    stream, which bounds the memory.
    """
    stream, batch = (_stored(lake, feed, days, mode) for mode in ("stream", "batch"))
    records = newest(lake, tables.records(feed.feed, feed.payload))
    return Seen(
        stream,
        pl.concat([*_staged(lake, feed, staged), batch]),
        *_runs(lake, feed),
        _lost(findings),
        {source: at.fence for source, at in landed(records, sources).items()},
    )


def look_at_nights(
    lake: Place, feed: Feed, staged: Iterable[DataFile], day: date, findings: Iterable[Finding]
) -> Seen:
    """Return what may explain why a date that nights have settled differs from what is staged.

    Of the two sides, `stream` is here what nights have set aside, `batch` what is staged.
    """
    settled = _stored(lake, feed, [day], "batch")
    fresh = pl.concat([settled.clear(), *_staged(lake, feed, staged)])
    return Seen(settled, fresh, *_runs(lake, feed), _lost(findings), {})


def _lost(findings: Iterable[Finding]) -> pl.DataFrame:
    """Return the windows that are not what was counted, and what is wrong."""
    rows = [(one.site, one.business_date, one.message) for one in findings]
    schema = {"site": pl.String, "business_date": pl.Date, "said": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").unique(WINDOW, keep="first")


def _stored(lake: Place, feed: Feed, days: Iterable[date], mode: str) -> pl.DataFrame:
    near = pl.col("row_date").is_in(list(days)) | pl.any_horizontal(
        pl.col("row_date", "site").is_null()
    )
    still = pl.col("replayed_run").is_null() & (pl.col("_mode") == mode)
    rows = scan(lake, tables.quarantine(feed.feed)).filter(near, KINDS, still)
    return rows.select(ASIDE).collect()


def _staged(lake: Place, feed: Feed, files: Iterable[DataFile]) -> list[pl.DataFrame]:
    table = tables.quarantine(feed.feed)
    return [read_file(lake, table, file, ASIDE).filter(KINDS) for file in files]


def _runs(lake: Place, feed: Feed) -> tuple[dict[str, str], dict[str, str]]:
    """Return the code's version and what decides about values, of all runs of a feed."""
    runs = scan(lake, tables.RUNS).filter(pl.col("feed") == feed.feed)
    known = runs.select("run", "code_version", "parameters").collect()
    declarations = {
        run: json.dumps({name: declared.get(name) for name in DECIDING}, sort_keys=True)
        for run, text in known.select("run", "parameters").iter_rows()
        if (declared := json.loads(text).get("feed"))
    }
    return dict(known.select("run", "code_version").iter_rows()), declarations
