"""Publish a staged run: each table is changed in one commit, the records last."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import polars as pl

from isopach.lake import tables
from isopach.lake.commits import Snapshot, newest, scan
from isopach.lake.files import DataFile
from isopach.lake.places import Place
from isopach.lake.replace import (
    read_file,
    replace_rows,
    revise,
    upsert,
    write_rows,
)
from isopach.lake.staged import Staged, Window, read_staged
from isopach.lake.tables import Table
from isopach.lake.verdicts import Verdict, read_verdicts

DIFFERENCES = "differences.parquet"
LOG = "log"
"""Stands for the delivery of a window whose rows were read again from the stream's own log."""
SETTLED, SETTLING, HELD, PROVISIONAL = "settled", "settling", "held", "provisional"
KEY = ["site", "business_date"]


@dataclass(frozen=True)
class FeedTables:
    """A feed's tables."""

    feed: str
    records: Table
    quarantine: Table
    totals: Mapping[str, Table]

    @property
    def all(self) -> list[Table]:
        return [self.records, self.quarantine, *self.totals.values()]


def publish(lake: Place, to: FeedTables, run: str, folder: Place) -> int:
    """Publish what a run staged and its verdicts allow; return the version of `records`.

    Settled windows are replaced whole; held ones keep the rows they have. Every step replaces
    what it wrote before, so that a run that was stopped here is finished by publishing it again.
    """
    staged, verdicts = read_staged(folder), read_verdicts(folder)
    settled = [(v.site, v.day) for v in verdicts if not v.held]
    _mark_settling(lake, to.feed, run, settled)
    before = windows_of(lake, to.feed, {v.day for v in verdicts})
    _publish_quarantine(lake, to.quarantine, run, staged, verdicts, before)
    for name, table in to.totals.items():
        parts = staged.files.get(f"totals_{name}", [])
        files = _allowed(lake, table, parts, settled)
        replace_rows(lake, table, _frame(settled), files, always=bool(settled))
    _publish_differences(lake, to.feed, run, folder, verdicts)
    upsert(lake, tables.COUNTS, _counts(to.feed, run, staged, verdicts), ["run", *KEY])
    files = _allowed(lake, to.records, staged.files.get("records", []), settled)
    version = replace_rows(lake, to.records, _frame(settled), files, always=bool(settled))

    def change(_: Snapshot, now: pl.DataFrame) -> pl.DataFrame:
        """Return the ledger's rows by those there are now: a stream may have changed them."""
        return _windows(to.feed, run, staged, verdicts, now, version)

    if verdicts:
        keys = _frame([(v.site, v.day) for v in verdicts]).with_columns(feed=pl.lit(to.feed))
        revise(lake, tables.WINDOWS, keys, change)
    return version


def close_to_streams(lake: Place, to: FeedTables, run: str, windows: Sequence[Window]) -> None:
    """Let no more rows of a stream into windows: what it has there now is all that it will have."""
    if windows:
        _mark_settling(lake, to.feed, run, windows)
        replace_rows(lake, to.records, _frame([]), [], always=True)


def _mark_settling(lake: Place, feed: str, run: str, windows: Sequence[Window]) -> None:
    """Mark windows that are to be replaced: from here on a stream's rows are late there.

    A stream that has decided before this loses against the next commit of records, and decides
    anew.
    """
    now = datetime.now(UTC)

    def change(_: Snapshot, old: pl.DataFrame) -> pl.DataFrame | None:
        stored = {(row["site"], row["business_date"]): row for row in old.iter_rows(named=True)}
        if all(_closing(stored.get(window), run) for window in windows):
            return None
        fresh = {"feed": feed, "rows": 0, "checksum": checksum_text(0, 0)}
        rows = [
            fresh
            | {"site": site, "business_date": day}
            | stored.get((site, day), {})
            | {"state": SETTLING, "run": run, "updated": now}
            for site, day in windows
        ]
        return pl.DataFrame(rows, schema=old.schema)

    if windows:
        keys = _frame(windows).with_columns(feed=pl.lit(feed))
        revise(lake, tables.WINDOWS, keys, change)


def _closing(row: Mapping[str, object] | None, run: str) -> bool:
    return row is not None and (row["state"], row["run"]) == (SETTLING, run)


def reopen(lake: Place, feed: str, run: str) -> None:
    """Take back the marks of a run that publishes nothing: the last that counted stands again."""
    mine = (pl.col("feed") == feed) & (pl.col("state") == SETTLING) & (pl.col("run") == run)
    keys = scan(lake, tables.WINDOWS).filter(mine).select("feed", *KEY).collect()
    nights = scan(lake, tables.COUNTS).filter(
        pl.col("feed") == feed, pl.col("mode") == "batch", pl.col("replay_of").is_null()
    )
    last = nights.group_by(KEY).agg(last=pl.col("run").max())
    last = last.join(keys.lazy().select(KEY), on=KEY, how="semi").collect()

    def change(_: Snapshot, old: pl.DataFrame) -> pl.DataFrame | None:
        settled, held = pl.col("settled_by").is_not_null(), pl.col("reason").is_not_null()
        state = (pl.when(settled).then(pl.lit(SETTLED)).when(held).then(pl.lit(HELD))).otherwise(
            pl.lit(PROVISIONAL)
        )
        known = settled | held | pl.col("progress").is_not_null()
        mark = (pl.col("state") == SETTLING) & (pl.col("run") == run)
        rows = old.filter(~mark | known).join(last, on=KEY, how="left")
        return rows.with_columns(
            state=pl.when(mark).then(state).otherwise("state"),
            run=pl.when(mark).then("last").otherwise("run"),
        ).drop("last")

    if not keys.is_empty():
        revise(lake, tables.WINDOWS, keys, change)


def windows_of(lake: Place, feed: str, days: set[date]) -> pl.DataFrame:
    """Return the ledger's rows of a feed's windows on some business dates."""
    chosen = pl.col("business_date").is_in(sorted(days)) & (pl.col("feed") == feed)
    return scan(lake, tables.WINDOWS).filter(chosen).collect()


def _frame(windows: Sequence[Window]) -> pl.DataFrame:
    schema = {"site": pl.String, "business_date": pl.Date}
    return pl.DataFrame(windows, schema=schema, orient="row")


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
            kept = whole.join(_frame(settled), on=KEY, how="semi")
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
    windows = _frame([(v.site, v.day) for v in verdicts])
    held = _frame([(v.site, v.day) for v in verdicts if v.held])
    resting = before.join(held, on=KEY, how="semi").select(*KEY, _run="settled_by")
    stored = (
        scan(lake, table)
        .filter(pl.col("business_date").is_in(windows["business_date"].unique().to_list()))
        .select(*KEY, "_mode", "_run")
        .filter(pl.col("_mode") == "batch")
        .unique()
        .collect()
    )
    out = stored.join(windows, on=KEY, how="semi").join(resting, on=[*KEY, "_run"], how="anti")
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
    settled = _frame([(v.site, v.day) for v in verdicts if not v.held]).with_columns(now=True)

    def change(_: Snapshot, old: pl.DataFrame) -> pl.DataFrame | None:
        rows = pl.concat([old.filter(pl.col("run") != run), found])
        by = pl.when("now").then(pl.lit(run)).alias("repaired_by")
        rows = rows.join(settled, on=KEY, how="left").with_columns(pl.coalesce("repaired_by", by))
        rows = rows.drop("now")
        return None if rows.equals(old) else rows

    revise(
        lake,
        table,
        _frame([(v.site, v.day) for v in verdicts]).with_columns(feed=pl.lit(feed)),
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


def checksum_text(first: int, second: int) -> str:
    """Return a checksum as 32 hexadecimal digits."""
    return f"{first:016x}{second:016x}"


def _checksum(tally: Mapping[str, int]) -> str:
    return checksum_text(tally.get("checksum_a", 0), tally.get("checksum_b", 0))


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
                "checksum": _checksum(tally),
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
                "rows": tally.get("accepted", 0),
                "checksum": _checksum(tally),
                "settled_by": run,
                "version": version,
            }
        rows.append(row)
    return pl.DataFrame(rows, schema=tables.empty_frame(tables.WINDOWS.schema).schema)
