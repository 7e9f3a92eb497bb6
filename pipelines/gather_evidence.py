"""Gather evidence: read from the lake what a settled business date rests on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from importlib.metadata import version
from typing import Any

import polars as pl
import polars.selectors as cs

from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import Active, Snapshot, newest, rows_of
from isopach.lake.inventory import READ_ERRORS, digests, files_on
from isopach.lake.landings import NUMBER, landings_after
from isopach.lake.places import Place
from isopach.lake.tables import FeedTables, Table
from isopach.lake.windows import SETTLED
from isopach.pipelines.contents import Pick, checksums_in, contents_of, merged
from isopach.pipelines.evidence import (
    FORMAT,
    Content,
    Evidence,
    EvidenceError,
    Fence,
    File,
    Row,
    TableState,
    hash_of,
)
from isopach.pipelines.verify_files import unreadable_files, verify_files
from isopach.pipelines.verify_stream import reached_sources

WINDOW_COLUMNS = ["site", "state", "reason", "rows", "checksum", "settled_by", "version"]
TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"


@dataclass(frozen=True)
class Date:
    """A business date of a feed in the lake, each table at the version that was found first."""

    lake: Place
    feed: Feed
    to: FeedTables
    day: date

    @property
    def tables(self) -> list[Table]:
        """The feed's tables and the ledger's, in the order in which they are checked."""
        return [*self.to.all, *tables.LEDGER]

    @cached_property
    def snapshots(self) -> dict[str, Snapshot]:
        found = {table.name: newest(self.lake, table) for table in self.tables}
        return {name: now for name, now in found.items() if now is not None}

    def files(self, table: Table) -> list[Active]:
        """Return a table's files with rows of the date."""
        now = self.snapshots.get(table.name)
        return files_on(now, self.day) if now else []

    def ledger(self, table: Table, *chosen: pl.Expr) -> pl.DataFrame:
        """Return rows of one of the ledger's tables: the feed's, of the date where it has one."""
        now = self.snapshots.get(table.name)
        if now is None:
            return tables.empty_frame(table.schema)
        on_day = [pl.col("business_date") == self.day] if table.partition_by else []
        rows = rows_of(now, table).filter(pl.col("feed") == self.feed.feed, *on_day, *chosen)
        return rows.select(table.schema.names).collect()

    @cached_property
    def windows(self) -> pl.DataFrame:
        return self.ledger(tables.WINDOWS).select(WINDOW_COLUMNS).sort("site")

    @cached_property
    def settled(self) -> pl.DataFrame:
        return self.windows.filter(state=SETTLED)

    def counts(self, settled: pl.DataFrame) -> pl.DataFrame:
        """Return the counts that settled windows rest on, and those of streams there."""
        of_run = pl.col("run").is_in(settled["settled_by"].to_list()) | (pl.col("mode") == "stream")
        rows = self.ledger(tables.COUNTS, of_run).drop("feed", "business_date")
        return rows.join(settled.select("site"), on="site", how="semi").sort("site", "run")

    def runs(self, names: Iterable[str]) -> pl.DataFrame:
        """Return runs, what they were given as hashes: there are places in it."""
        rows = self.ledger(tables.RUNS, pl.col("run").is_in(list(names))).sort("run")
        given = rows["parameters"].to_list()
        hashes = [_text_hash(text) for text in given]
        return rows.drop("feed", "process", "parameters").with_columns(
            pl.Series("parameters_text_hash", hashes, pl.String),
            pl.Series("declaration", [_declaration_in(text) for text in given], pl.String),
        )

    def differences(self, settled: pl.DataFrame) -> pl.DataFrame:
        """Return the records of settled windows that differed, and how."""
        rows = self.ledger(tables.DIFFERENCES).drop("feed", "business_date", "repaired_by")
        return rows.join(settled.select("site"), on="site", how="semi").sort(pl.all())

    def contents(self, table: Table, pick: Pick) -> pl.DataFrame:
        """Return what a table has of the date, by site, mode and source."""
        payload = self.feed.payload.names if table == self.to.records else ()
        return contents_of(self.lake, table, self.files(table), pick, payload)

    def fences(self) -> list[Fence]:
        """Return how far the sources of streams have landed."""
        records = self.snapshots.get(self.to.records.name)
        reached = reached_sources(self.lake, self.feed, records, ()) if records else {}
        named = sorted(reached.items())
        return [Fence(source=source, fence=at.fence, rows=at.rows) for source, at in named]


def gather(lake: Place, feed: Feed, to: FeedTables, day: date) -> Evidence:
    """Return the evidence of a business date; raises EvidenceError where there is none to give."""
    found = Date(lake, feed, to, day)
    try:
        if not any(verify_files(lake, found.tables, day)):
            return _gathered(found)
    except READ_ERRORS:
        if not any(unreadable_files(lake, found.tables, day)):
            raise
    raise EvidenceError(
        f"{feed.feed} {day}: files are gone or damaged, and there is no evidence of what does not "
        "hold; `isopach verify` names them"
    )


def _gathered(found: Date) -> Evidence:
    feed, day, to = found.feed, found.day, found.to
    settled = found.settled
    if settled.is_empty():
        known = ", ".join(sorted({*found.windows["state"]})) or "none in the ledger"
        raise EvidenceError(
            f"{feed.feed} {day}: no settled window to give evidence of (windows there: {known}); "
            "run the night first, or choose a date that `isopach counts` shows as settled"
        )
    _check_followed(found)
    contents = {table.name: found.contents(table, pick_of(table, to, settled)) for table in to.all}
    _check_checksums(found, contents[to.records.name])
    counts, differences = found.counts(settled), found.differences(settled)
    runs = {*counts["run"], *differences["run"], *settled["settled_by"]}
    return Evidence(
        format=FORMAT,
        feed=feed.feed,
        date=day,
        isopach=version("isopach"),
        declaration=hash_of(json.loads(feed.model_dump_json())),
        tables=tuple(_state(found, table) for table in found.tables if _is_there(found, table)),
        windows=tuple(plain(found.windows)),
        contents=tuple(c for name, rows in contents.items() for c in content_rows(name, rows)),
        fences=tuple(found.fences()),
        counts=tuple(plain(counts)),
        runs=tuple(plain(found.runs(runs))),
        differences=tuple(plain(differences)),
    )


def pick_of(
    table: Table, to: FeedTables, settled: pl.DataFrame, before: pl.DataFrame | None = None
) -> Pick:
    """Return what chooses the rows of settled windows in a file.

    Of rows set aside those are left out that a later night set aside which was then held, and
    those of a stream that came after: at or behind the position `next`.

    Args:
        before: `next` by site and source, for rows of a stream.
    """

    def pick(rows: pl.DataFrame) -> pl.DataFrame:
        chosen = rows.join(settled.select("site", "settled_by"), on="site", how="inner")
        if table == to.quarantine:
            streamed = pl.col("_mode") == "stream"
            chosen = chosen.filter(streamed | (pl.col("_run") == pl.col("settled_by")))
            if before is not None:
                chosen = chosen.join(before, on=["site", "_source"], how="left")
                later = streamed & (pl.col("_position") >= pl.col("next")).fill_null(False)
                chosen = chosen.filter(~later)
        return chosen.select(rows.columns)

    return pick


def content_rows(table: str, contents: pl.DataFrame) -> list[Content]:
    """Return what a table has as the evidence says it."""
    named = contents.rename({"_mode": "mode", "_source": "source"}).with_columns(
        pl.Series("checksum", checksums_in(contents, "all"), pl.String), table=pl.lit(table)
    )
    fields = named.select(list(Content.model_fields))
    return [Content(**row) for row in fields.iter_rows(named=True)]


def windows_in(records: pl.DataFrame) -> dict[str, tuple[int, str]]:
    """Return the rows of each site's window and their checksum, from what the records have."""
    sums = merged(records, ["site"])
    figures = zip(sums["rows"], checksums_in(sums, "payload"), strict=True)
    return dict(zip(sums["site"], figures, strict=True))


def plain(rows: pl.DataFrame) -> list[Row]:
    """Return rows as JSON data."""
    texts = rows.with_columns(cs.datetime().dt.strftime(TIME), cs.date().dt.to_string())
    return texts.to_dicts()


def _is_there(found: Date, table: Table) -> bool:
    return table.name in found.snapshots


def _state(found: Date, table: Table) -> TableState:
    active = found.files(table) if table.partition_by else []
    hashes = digests(found.lake, table, [file.path for file in active])
    files = tuple(
        File(path=file.path, size=file.size, rows=file.rows, sha256=sha256)
        for file, sha256 in zip(active, hashes, strict=True)
    )
    return TableState(table=table.name, version=found.snapshots[table.name].version, files=files)


def _check_followed(found: Date) -> None:
    """Check that the ledger has all that a stream brought; raises EvidenceError."""
    records, counts = (found.snapshots.get(t.name) for t in (found.to.records, tables.COUNTS))
    if records is None or counts is None:
        return
    reached = counts.fence(f"{NUMBER}/{found.feed.feed}") or 0
    sites = {*found.settled["site"]}
    for landing in landings_after(found.lake, found.feed.feed, records, reached):
        windows = {w for w, counted in landing.counts.items() if counted.get("accepted")}
        if any(site in sites and day == found.day for site, day in windows):
            raise EvidenceError(
                f"{found.feed.feed} {found.day}: ledger/counts has landings of the stream up to "
                f"{reached:,}, records up to {landing.number:,}: make evidence again in a moment; "
                "if the stream was killed, start it once more first"
            )


def _check_checksums(found: Date, records: pl.DataFrame) -> None:
    """Check that records are what the ledger says; raises EvidenceError."""
    there = windows_in(records)
    for site, rows, checksum in found.settled.select("site", "rows", "checksum").iter_rows():
        stored = there.get(site, (0, "0" * 32))
        if stored != (rows, checksum):
            raise EvidenceError(
                f"{site} {found.day}: {found.to.records.name} gives {stored[0]:,} rows with "
                f"checksum {stored[1]}, ledger/windows has {rows:,} with {checksum}: there is no "
                "evidence of what does not hold; `isopach verify` says more"
            )


def _text_hash(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _declaration_in(parameters: str | None) -> str | None:
    """Return the hash of the feed's declaration that a run was given."""
    try:
        given: dict[str, Any] = json.loads(parameters or "{}")
    except ValueError:
        return None
    return hash_of(given["feed"]) if "feed" in given else None
