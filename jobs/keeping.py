"""Keep: publish records that only the stream has beside the night's, where a feed says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from isopach.jobs.reconciling import Night, Reconciled
from isopach.lake.commits import newest, rows_of
from isopach.lake.files import write_file
from isopach.lake.replace import read_file, to_table
from isopach.lake.staged import Staged, write_staged
from isopach.lake.windows import WINDOW, windows_frame, windows_of
from isopach.pipelines.joining import TOTALS, merged
from isopach.pipelines.verify import checksums
from isopach.transforms.compare import EXTRA
from isopach.transforms.counts import Window
from isopach.transforms.quarantine import key_text
from isopach.transforms.totals import partial_totals


def with_kept(night: Night, compared: Reconciled) -> Staged:
    """Return what a night has staged, with the records added that only the stream has.

    Left out are those whose key the night has read and set aside: there the night decides. Their
    mode, source, position and run stay the stream's. What was kept when a window was settled
    before is kept again, unless it is delivered by now.
    """
    feed = night.declaration.feed
    if feed.reconcile.stream_only != "keep":
        return night.staged
    windows = [w for w in night.windows if w in compared.found and compared.found[w][EXTRA]]
    windows += _kept_before(night)
    rows = _stream_only(night, windows) if windows else None
    if rows is None or rows.is_empty():
        return night.staged
    staged = _added(night, rows)
    write_staged(night.target.folder, staged)
    return staged


def _kept_before(night: Night) -> list[Window]:
    """Return windows that a night has settled with records of the stream."""
    known = windows_of(
        night.target.lake, night.declaration.feed.feed, {day for _, day in night.windows}
    )
    kept = known.filter(pl.col("kept") > 0).select(WINDOW)
    return kept.join(windows_frame(night.windows), on=WINDOW, how="semi").rows()


def _stream_only(night: Night, windows: Sequence[Window]) -> pl.DataFrame:
    """Return the stream's records of some windows of which the night has not read the key."""
    lake, feed = night.target.lake, night.declaration.feed
    chosen = windows_frame(windows).lazy()
    records = newest(lake, night.tables.records)
    assert records is not None, "windows were compared"
    streamed = rows_of(records, night.tables.records).filter(pl.col("_mode") == "stream")
    near = pl.col("business_date").is_in([day for _, day in windows])
    rows = streamed.filter(near).join(chosen, on=WINDOW, how="semi").collect()
    key = list(dict.fromkeys([*WINDOW, *feed.key]))
    for file in night.staged.files.get("records", []):
        delivered = read_file(lake, night.tables.records, file, key)
        rows = rows.join(delivered, on=key, how="anti", nulls_equal=True)
    named = rows.with_columns(key_text(feed.key).alias("_key"))
    for file in night.staged.files.get("quarantine", []):
        aside = read_file(lake, night.tables.quarantine, file, [*WINDOW, "key"]).drop_nulls("key")
        on = [*WINDOW, "_key"]
        named = named.join(aside.rename({"key": "_key"}), on=on, how="anti")
    return named.drop("_key")


def _added(night: Night, rows: pl.DataFrame) -> Staged:
    """Stage kept records, and add them to the totals and the windows' figures."""
    lake, feed, target = night.target.lake, night.declaration.feed, night.target
    table, files = night.tables.records, dict(night.staged.files)
    sums = checksums(rows, feed)
    for (of_day,), part in rows.partition_by("business_date", as_dict=True).items():
        held = tuple((site, f"{day}") for site, day in sums if day == of_day)
        stored = to_table(part, table.schema)
        file = write_file(lake, table, stored, target.name(), held, target.unlike)
        files["records"] = [*files.get("records", []), file]
    for total, part in partial_totals(rows.to_arrow(), feed):
        name = f"{TOTALS}{total}"
        files[name] = [merged(name, files.get(name, []), target, [part])]
    counts = {window: dict(tally) for window, tally in night.staged.counts.items()}
    for site, day, kept in rows.group_by(WINDOW).len().iter_rows():
        text = sums[site, day]
        halves = (int(half, 16) for half in (text[:16], text[16:]))
        tally = counts.setdefault((site, day), {})
        for name, value in zip(("kept", "kept_a", "kept_b"), (kept, *halves), strict=True):
            tally[name] = (tally.get(name, 0) + value) % 2**64
    return replace(night.staged, files=files, counts=counts)
