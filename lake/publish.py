"""Publish a staged run: each table is changed in one commit, the records last."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import polars as pl

from isopach.lake import tables
from isopach.lake.commits import Snapshot, newest, scan
from isopach.lake.files import DataFile
from isopach.lake.gates import publish_gates
from isopach.lake.places import Place
from isopach.lake.replace import (
    read_file,
    replace_rows,
    revise,
    upsert,
    write_rows,
)
from isopach.lake.staged import Staged, Window, read_staged
from isopach.lake.tables import FeedTables, Table
from isopach.lake.verdicts import Verdict, read_verdicts
from isopach.lake.windows import (
    HELD,
    SETTLED,
    WINDOW,
    checksum_text,
    mark_settling,
    windows_frame,
    windows_of,
)

DIFFERENCES = "differences.parquet"
LOG = "log"
"""Stands for the delivery of a window whose rows were read again from the stream's own log."""


def publish(lake: Place, to: FeedTables, run: str, folder: Place) -> int:
    """Publish what a run staged and its verdicts allow; return the version of `records`.

    Settled windows are replaced whole; held ones keep the rows they have. Every step replaces
    what it wrote before, so that a run that was stopped here is finished by publishing it again.
    """
    staged, verdicts = read_staged(folder), read_verdicts(folder)
    settled = [(v.site, v.day) for v in verdicts if not v.held]
    mark_settling(lake, to.feed, run, settled)
    before = windows_of(lake, to.feed, {v.day for v in verdicts})
    _publish_quarantine(lake, to.quarantine, run, staged, verdicts, before)
    for name, table in to.totals.items():
        parts = staged.files.get(f"totals_{name}", [])
        files = _allowed(lake, table, parts, settled)
        replace_rows(lake, table, windows_frame(settled), files, always=bool(settled))
    _publish_differences(lake, to.feed, run, folder, verdicts)
    publish_gates(lake, folder)
    upsert(lake, tables.COUNTS, _counts(to.feed, run, staged, verdicts), ["run", *WINDOW])
    files = _allowed(lake, to.records, staged.files.get("records", []), settled)
    version = replace_rows(lake, to.records, windows_frame(settled), files, always=bool(settled))

    def change(_: Snapshot, now: pl.DataFrame) -> pl.DataFrame:
        """Return the ledger's rows by those there are now: a stream may have changed them."""
        return _windows(to.feed, run, staged, verdicts, now, version)

    if verdicts:
        keys = windows_frame([(v.site, v.day) for v in verdicts]).with_columns(feed=pl.lit(to.feed))
        revise(lake, tables.WINDOWS, keys, change)
    return version


def _allowed(
    lake: Place, table: Table, files: Sequence[DataFile], settled: Sequence[Window]
) -> list[DataFile]:
    """Return staged files without the rows of windows that are held; mixed ones are copied."""
    allowed = {(site, day.isoformat()) for site, day in settled}
    result = []
    for file in files:
        windows = set(file.windows)
        if windows and windows <= allowed:
            result.append(file)
        elif not windows or windows & allowed:
            whole = read_file(lake, table, file, table.schema.names)
            kept = whole.join(windows_frame(settled), on=WINDOW, how="semi")
            if kept.height == whole.height:
                result.append(file)
            elif not kept.is_empty():
                result.append(write_rows(lake, table, kept))
    return result


def _publish_quarantine(
    lake: Place,
    table: Table,
    run: str,
    staged: Staged,
    verdicts: Sequence[Verdict],
    before: pl.DataFrame,
) -> None:
    """Put in a run's rows set aside; take out those of runs that no window rests on any more.

    Rows of the run itself that stand elsewhere than in its own files are replaced by these.
    """
    windows = windows_frame([(v.site, v.day) for v in verdicts])
    held = windows_frame([(v.site, v.day) for v in verdicts if v.held])
    resting = before.join(held, on=WINDOW, how="semi").select(*WINDOW, _run="settled_by")
    stored = (
        scan(lake, table)
        .filter(pl.col("business_date").is_in(windows["business_date"].unique().to_list()))
        .select(*WINDOW, "_mode", "_run")
        .filter(pl.col("_mode") == "batch")
        .unique()
        .collect()
    )
    out = stored.join(windows, on=WINDOW, how="semi").join(
        resting, on=[*WINDOW, "_run"], how="anti"
    )
    files = _allowed(lake, table, staged.files.get("quarantine", []), windows.rows())
    replace_rows(lake, table, out, files)


def _publish_differences(
    lake: Place, feed: str, run: str, folder: Place, verdicts: Sequence[Verdict]
) -> None:
    """Put in what a run found to differ, in place of what it found of the same windows before.

    Publishing a window corrects what differed in it, whichever run had found it.
    """
    found, table = differences_of(folder, run, feed), tables.DIFFERENCES
    if not verdicts or (found.is_empty() and newest(lake, table) is None):
        return
    settled = windows_frame([(v.site, v.day) for v in verdicts if not v.held]).with_columns(
        now=True
    )

    def change(_: Snapshot, old: pl.DataFrame) -> pl.DataFrame | None:
        rows = pl.concat([old.filter(pl.col("run") != run), found])
        by = pl.when("now").then(pl.lit(run)).alias("repaired_by")
        rows = rows.join(settled, on=WINDOW, how="left").with_columns(
            pl.coalesce("repaired_by", by)
        )
        rows = rows.drop("now")
        return None if rows.equals(old) else rows

    revise(
        lake,
        table,
        windows_frame([(v.site, v.day) for v in verdicts]).with_columns(feed=pl.lit(feed)),
        change,
    )


def differences_of(folder: Place, run: str, feed: str) -> pl.DataFrame:
    """Return the differences that a run has found, as the ledger has them."""
    place, empty = folder / DIFFERENCES, tables.empty_frame(tables.DIFFERENCES.schema)
    if not place.exists():
        return empty
    rows = pl.read_parquet(place.read_bytes()).with_columns(
        run=pl.lit(run), feed=pl.lit(feed), repaired_by=pl.lit(None)
    )
    return rows.select(empty.columns).cast(empty.schema)


def checksum_of(tally: Mapping[str, int]) -> str:
    """Return the checksum of what is published: records accepted, and kept of the stream's."""
    halves = [
        (tally.get(f"checksum_{half}", 0) + tally.get(f"kept_{half}", 0)) % 2**64 for half in "ab"
    ]
    return checksum_text(*halves)


def _counts(feed: str, run: str, staged: Staged, verdicts: Sequence[Verdict]) -> pl.DataFrame:
    names = ["read", "accepted", "rejected", "late", "duplicate", "bytes"]
    rows = []
    for verdict in verdicts:
        window = (verdict.site, verdict.day)
        tally = staged.counts.get(window, {})
        rows.append(
            {
                "run": run,
                "feed": feed,
                "mode": "batch",
                "site": verdict.site,
                "business_date": verdict.day,
                **{name: tally.get(name, 0) for name in names},
                "declared": verdict.declared,
                "checksum": checksum_of(tally),
                "delivery": verdict.delivery,
                "reason": verdict.held or verdict.approved,
                "manifest": verdict.manifest,
                "extra": json.dumps(extra) if (extra := staged.extra.get(window)) else None,
                "arrived": verdict.delivered_at and verdict.delivered_at.astimezone(UTC),
                "streamed": verdict.streamed,
            }
        )
    return pl.DataFrame(rows, schema=tables.empty_frame(tables.COUNTS.schema).schema)


def _windows(
    feed: str,
    run: str,
    staged: Staged,
    verdicts: Sequence[Verdict],
    before: pl.DataFrame,
    version: int,
) -> pl.DataFrame:
    """Return the ledger's rows: a held window keeps what it rests on, with the reason beside."""
    now = datetime.now(UTC)
    resting = {(row["site"], row["business_date"]): row for row in before.iter_rows(named=True)}
    rows = []
    for verdict in verdicts:
        window = (verdict.site, verdict.day)
        tally = staged.counts.get(window, {})
        row = {
            "feed": feed,
            "site": window[0],
            "business_date": window[1],
            "run": run,
            "updated": now,
        }
        if verdict.held:
            row = {"rows": 0, "checksum": checksum_text(0, 0)} | resting.get(window, {}) | row
            row |= {"reason": verdict.held}
            row |= {"state": HELD if row.get("settled_by") is None else SETTLED}
        else:
            row |= {
                "state": SETTLED,
                "rows": tally.get("accepted", 0) + tally.get("kept", 0),
                "kept": tally.get("kept", 0),
                "checksum": checksum_of(tally),
                "settled_by": run,
                "version": version,
            }
        rows.append(row)
    return pl.DataFrame(rows, schema=tables.empty_frame(tables.WINDOWS.schema).schema)
