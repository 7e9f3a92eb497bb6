"""Verify: re-prove conservation, uniqueness, checksums and totals from the tables alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import polars.selectors as cs

from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.inventory import READ_ERRORS
from isopach.lake.places import Place
from isopach.lake.publish import LOG
from isopach.lake.tables import FeedTables
from isopach.lake.windows import SETTLED, checksum_text
from isopach.pipelines.findings import Finding
from isopach.pipelines.verify_files import unreadable_files, verify_files
from isopach.pipelines.verify_ledger import WINDOW, repeated, verify_ledger
from isopach.pipelines.verify_replays import lost_of_nights, unfinished_replays, with_replays
from isopach.pipelines.verify_stream import verify_stream
from isopach.transforms.batches import frame
from isopach.transforms.checksum import row_hashes
from isopach.transforms.quarantine import UNREADABLE
from isopach.transforms.totals import partial_totals

CHUNK_ROWS = 4_000_000
"""Rows of records in memory at a time; a window is never split."""
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Proof:
    """What was verified, and what did not hold."""

    feed: str
    windows: int
    settled: int
    records: int
    quarantined: int
    findings: list[Finding]


def verify(lake: Place, feed: Feed, to: FeedTables, day: date | None) -> Proof:
    """Check every window of a feed (of one business date), reading nothing but the tables.

    Where files of the tables are gone or damaged, these are named, and nothing else is checked.
    """
    every = [*to.all, *tables.LEDGER]
    damaged = list(verify_files(lake, every, day))
    if not damaged:
        try:
            return _verified(lake, feed, to, day)
        except READ_ERRORS:
            damaged = list(unreadable_files(lake, every, day))
            if not damaged:
                raise
    return Proof(feed.feed, 0, 0, 0, 0, damaged)


def _verified(lake: Place, feed: Feed, to: FeedTables, day: date | None) -> Proof:
    """Check windows, their files being there.

    A window that is held and never was settled has no records of a night: its accepted rows wait,
    and the others are in quarantine.
    """
    of_feed = pl.col("feed") == feed.feed
    on_day = pl.lit(True) if day is None else pl.col("business_date") == day
    ledger = scan(lake, tables.WINDOWS).filter(of_feed, on_day).collect().sort(WINDOW[::-1])
    ledger = ledger.with_columns(read_by=pl.coalesce("settled_by", "run"))
    counts = scan(lake, tables.COUNTS).filter(of_feed, on_day).collect()
    findings = [*verify_ledger(lake, to, ledger, counts, on_day), *unfinished_replays(lake, to)]
    counts = with_replays(counts)
    records = quarantined = 0
    for chunk in _chunks(ledger):
        rows = _rows_of(lake, to.records, chunk)
        aside = _rows_of(lake, to.quarantine, chunk).join(
            chunk.select(*WINDOW, _run="read_by"), on=[*WINDOW, "_run"], how="semi"
        )
        of_night = rows.filter(_mode="batch")
        findings += lost_of_nights(aside, of_night)
        aside = aside.filter(pl.col("replayed_run").is_null())
        records, quarantined = records + rows.height, quarantined + aside.height
        read = chunk.drop_nulls("read_by").join(
            counts.drop("feed", "checksum").rename({"reason": "approved"}),
            left_on=[*WINDOW, "read_by"],
            right_on=[*WINDOW, "run"],
            how="left",
        )
        findings += [
            *_conservation(read, of_night, aside, to),
            *_mixed(chunk, rows),
            *_checksums(chunk, rows, feed),
            *_keys(rows, feed),
            *_positions(read, of_night, aside),
            *_totals(lake, feed, to, chunk, rows),
        ]
    streamed, found = verify_stream(lake, feed, to, day)
    settled = ledger.height - ledger["settled_by"].null_count()
    findings += found
    return Proof(feed.feed, ledger.height, settled, records, quarantined + streamed, findings)


def _chunks(ledger: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for part in ledger.partition_by("business_date", maintain_order=True):
        number = part["rows"].cum_sum() // CHUNK_ROWS
        yield from part.with_columns(_chunk=number).partition_by("_chunk", include_key=False)


def _rows_of(lake: Place, table: tables.Table, windows: pl.DataFrame) -> pl.DataFrame:
    days = windows["business_date"].unique().to_list()
    sites = windows["site"].unique().to_list()
    chosen = pl.col("business_date").is_in(days) & pl.col("site").is_in(sites)
    return scan(lake, table).filter(chosen).collect()


def _conservation(
    read: pl.DataFrame, rows: pl.DataFrame, aside: pl.DataFrame, to: FeedTables
) -> Iterator[Finding]:
    """Check counts against each other, and against the rows that are there."""
    there = rows.group_by(WINDOW).agg(pl.len().alias("records"))
    kinds = ["rejected", "late", "duplicate"]
    put_aside = aside.group_by(WINDOW).agg(
        *(
            (pl.col("disposition") == kind).sum().cast(pl.Int64).alias(f"found_{kind}")
            for kind in kinds
        )
    )
    table = read.join(there, on=WINDOW, how="left").join(put_aside, on=WINDOW, how="left")
    for row in table.with_columns(cs.starts_with("found_", "records").fill_null(0)).iter_rows(
        named=True
    ):
        window = row["site"], row["business_date"]
        if row["read"] is None:
            yield Finding("counts", *window, f"ledger/counts has none of run {row['read_by']}")
            continue
        sum_of_parts = row["accepted"] + sum(row[kind] for kind in kinds)
        if row["read"] != sum_of_parts:
            text = f"ledger/counts: read {row['read']:,}, accounted for {sum_of_parts:,}"
            yield Finding("conservation", *window, text)
        settled = row["settled_by"] is not None
        declared = row["read"] if row["declared"] is None else row["declared"]
        if settled and declared != row["read"] and row["approved"] is None:
            text = f"ledger/counts: declared {row['declared']:,}, read {row['read']:,}"
            yield Finding("declared", *window, text)
        expected = row["accepted"] if settled else 0
        kept = (row["kept"] or 0) if settled else 0
        if row["records"] != expected or (settled and row["rows"] != expected + kept):
            text = (
                f"{to.records.name} has {row['records']:,}, ledger/counts {row['accepted']:,} "
                f"accepted, ledger/windows {row['rows']:,}"
            )
            yield Finding("records", *window, text)
        for kind in kinds:
            if row[kind] != row[f"found_{kind}"]:
                text = f"{to.quarantine.name} has {row[f'found_{kind}']:,} {kind}, "
                text += f"ledger/counts {row[kind]:,}"
                yield Finding("quarantine", *window, text)


def _mixed(windows: pl.DataFrame, rows: pl.DataFrame) -> Iterator[Finding]:
    """Check that a settled window has rows of nights, and of the stream those that were kept."""
    settled = windows.drop_nulls("settled_by").filter(pl.col("state") == SETTLED)
    streamed = (
        rows.filter(pl.col("_mode") != "batch").group_by(WINDOW).len().cast({"len": pl.Int64})
    )
    both = settled.join(streamed, on=WINDOW, how="left").with_columns(
        pl.col("kept", "len").fill_null(0)
    )
    odd = both.filter(pl.col("kept") != pl.col("len"))
    for site, day, count, kept in odd.select(*WINDOW, "len", "kept").iter_rows():
        text = f"{count:,} rows of a stream in a settled window, {kept:,} kept"
        yield Finding("records", site, day, text)


def _checksums(windows: pl.DataFrame, rows: pl.DataFrame, feed: Feed) -> Iterator[Finding]:
    sums = checksums(rows, feed)
    for site, day, recorded in windows.select(*WINDOW, "checksum").iter_rows():
        found = sums.get((site, day), checksum_text(0, 0))
        if found != recorded:
            yield Finding(
                "checksum", site, day, f"records give {found}, ledger/windows has {recorded}"
            )


def checksums(rows: pl.DataFrame, feed: Feed) -> dict[tuple[str, date], str]:
    """Return each window's checksum as the ledger writes it."""
    ordered = rows.sort(WINDOW)
    if ordered.is_empty():
        return {}
    payload = ordered.select(feed.payload.names).to_arrow().cast(feed.payload)
    hashes = row_hashes(payload, feed.payload.names, seeds=2)
    starts = ordered.select(pl.struct(WINDOW).rle_id().alias("run")).with_row_index("row")
    first = starts.unique("run", keep="first", maintain_order=True)["row"].to_numpy()
    sums = np.add.reduceat(hashes, first, axis=1)
    windows = ordered.select(WINDOW)[first].rows()
    return {w: checksum_text(int(a), int(b)) for w, a, b in zip(windows, *sums, strict=True)}


def _keys(rows: pl.DataFrame, feed: Feed) -> Iterator[Finding]:
    key = list(dict.fromkeys([*WINDOW, *feed.key]))
    twice = rows.group_by(key).len().filter(pl.col("len") > 1)
    for part in twice.partition_by(WINDOW):
        site, day = part.select(WINDOW).row(0)
        example = part.select(feed.key).row(0)
        text = f"records have {part.height:,} keys more than once, such as {example}"
        yield Finding("unique", site, day, text)


def _positions(read: pl.DataFrame, rows: pl.DataFrame, aside: pl.DataFrame) -> Iterator[Finding]:
    """Check that each position of a source is in exactly one table, and that none is left out.

    Windows whose accepted rows wait are passed over. A window has but some of a log's positions,
    with those of other windows between.
    """
    whole = read.filter(pl.col("settled_by").is_not_null() | (pl.col("accepted") == 0))
    where = [*WINDOW, "_source"]
    taken = ["site", "business_date", "_source", "_position"]
    both = pl.concat(
        [rows.select(taken), aside.filter(pl.col("disposition") != UNREADABLE).select(taken)]
    ).join(whole, on=WINDOW, how="semi")
    sources = both.group_by(where).agg(
        rows=pl.len(), distinct=pl.col("_position").n_unique(), last=pl.col("_position").max()
    )
    of_log = whole.filter(delivery=LOG).select(WINDOW)
    sources = sources.join(of_log.with_columns(log=True), on=WINDOW, how="left")
    gaps = (pl.col("last") + 1 != pl.col("rows")) & pl.col("log").is_null()
    odd = sources.filter((pl.col("rows") != pl.col("distinct")) | gaps).drop("log")
    for site, day, source, count, distinct, last in odd.iter_rows():
        text = f"{source}: {last + 1:,} positions, {distinct:,} of them in {count:,} rows of "
        text += "records and quarantine"
        yield Finding("positions", site, day, text)
    found_rows = sources.group_by(WINDOW).agg(pl.col("rows").sum().alias("found"))
    counted_rows = whole.drop_nulls("read").join(found_rows, on=WINDOW, how="left")
    counted_rows = counted_rows.with_columns(pl.col("found").fill_null(0))
    for site, day, found, counted in counted_rows.select(*WINDOW, "found", "read").iter_rows():
        if found != counted:
            text = f"records and quarantine have {found:,} rows, ledger/counts {counted} read"
            yield Finding("positions", site, day, text)


def _totals(
    lake: Place, feed: Feed, to: FeedTables, windows: pl.DataFrame, rows: pl.DataFrame
) -> Iterator[Finding]:
    """Check that stored totals are those of the records."""
    arrow = rows.select(feed.payload.names + WINDOW).to_arrow()
    parts = dict(partial_totals(arrow, feed))
    for name, total in feed.totals.items():
        stored = _rows_of(lake, to.totals[name], windows).drop("_mode", "_run")
        fresh = stored.clear()
        if name in parts:
            fresh = frame(parts[name]).select(stored.columns).cast(stored.schema)
        group = [*WINDOW, *total.by]
        yield from repeated("totals", stored, group, f"totals_{name} has a group more than once")
        for site, day in _differing(stored, fresh, group):
            yield Finding("totals", site, day, f"totals_{name} is not the group-by of the records")


def _differing(
    stored: pl.DataFrame, fresh: pl.DataFrame, group: Sequence[str]
) -> list[tuple[str, date]]:
    both = stored.with_columns(_in=1).join(
        fresh.with_columns(_in=1),
        on=group,
        how="full",
        suffix="_new",
        coalesce=True,
        nulls_equal=True,
    )
    same = [pl.col("_in").is_not_null() & pl.col("_in_new").is_not_null()]
    for name in stored.columns:
        if name in group:
            continue
        old, new = pl.col(name), pl.col(f"{name}_new")
        equal = old.eq_missing(new)
        if stored.schema[name].is_float():
            close = (old - new).abs() <= TOLERANCE * pl.max_horizontal(old.abs(), new.abs(), 1.0)
            equal = equal | close.fill_null(False)
        same.append(equal)
    return both.filter(~pl.all_horizontal(same)).select(WINDOW).unique().sort(WINDOW).rows()
