"""Stage: write the files of a run where they are not yet visible, and describe them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from time import perf_counter
from typing import Any, NamedTuple
from uuid import uuid4

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.files import DataFile, write_file
from isopach.lake.places import Place
from isopach.lake.staged import Took
from isopach.pipelines.progress import STAGED
from isopach.transforms.batches import by_radix, concat, repeated, unpack
from isopach.transforms.checksum import row_hashes
from isopach.transforms.counts import Tally, Window
from isopach.transforms.quarantine import duplicates
from isopach.transforms.stamp import calendar
from isopach.transforms.threads import flat_map
from isopach.transforms.totals import TotalKey, total_schema, window_totals
from isopach.transforms.unique import distinct

QUARANTINE_ROWS = 1 << 21
"""Rows of a quarantine file at most."""

Described = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """Where a run stages its files, and the stamps of its rows."""

    lake: Place
    feed: Feed
    run: str
    mode: str = "batch"

    @property
    def folder(self) -> Place:
        """The run's staging folder, with what describes its files."""
        return staging(self.lake, self.feed.feed) / self.run

    @property
    def unlike(self) -> list[str]:
        """The columns of records whose values hardly repeat."""
        return [*self.feed.key, self.feed.event_time, "_position"]

    def stamped(self, rows: pa.Table) -> pa.Table:
        """Add the columns that say by which run and mode rows came."""
        for name, text in (("_mode", self.mode), ("_run", self.run)):
            rows = rows.append_column(name, repeated(text, rows.num_rows))
        return rows

    def name(self) -> str:
        """Return a new file's name: a retry writes another file, and only one is described."""
        return f"{self.run}-{uuid4().hex[:12]}"


def staging(lake: Place, feed: str) -> Place:
    """Return the folder of a feed's staged runs."""
    return lake / f"{feed}/_staging"


class Staged(NamedTuple):
    """The outputs of StageGroups."""

    files: beam.PCollection[Described]
    quarantined: beam.PCollection[pa.RecordBatch]
    tallies: beam.PCollection[tuple[Window, Tally]]
    totals: beam.PCollection[tuple[TotalKey, pa.RecordBatch]]


@dataclass
class StageGroups(beam.PTransform):  # type: ignore[misc]
    """Write each group's distinct rows as a file; hand on duplicates, counts and totals."""

    target: Target

    def expand(self, groups: beam.PCollection[tuple[int, Iterable[bytes]]]) -> Staged:
        outputs = groups | "Stage groups" >> flat_map(
            _tagged, target=self.target
        ).with_output_types(
            Described,
            quarantined=pa.RecordBatch,
            tallies=tuple[Window, Tally],
            totals=tuple[TotalKey, pa.RecordBatch],
        ).with_outputs("quarantined", "tallies", "totals", main="files")
        return Staged(outputs.files, outputs.quarantined, outputs.tallies, outputs.totals)


def _tagged(group: tuple[int, Iterable[bytes]], target: Target) -> Iterator[Any]:
    started, feed = perf_counter(), target.feed
    rows, again = distinct(map(unpack, group[1]), feed.key)
    if again.num_rows:
        yield beam.pvalue.TaggedOutput(
            "quarantined", duplicates(again, list(feed.columns), feed.key)
        )
        unused = np.zeros((2, again.num_rows), np.uint64)
        for window, (count, _, _) in sums_by_window(again, unused).items():
            yield beam.pvalue.TaggedOutput("tallies", (window, Tally(duplicate=count)))
    hashes = row_hashes(rows, feed.payload.names, seeds=2)
    windows = sums_by_window(rows, hashes)
    for window, (count, first, second) in windows.items():
        tally = Tally(accepted=count, checksum_a=first, checksum_b=second)
        yield beam.pvalue.TaggedOutput("tallies", (window, tally))
    for part in window_totals(rows, feed):
        yield beam.pvalue.TaggedOutput("totals", part)
    table = tables.records(feed.feed, feed.payload)
    held = tuple((site, day.isoformat()) for site, day in windows)
    file = write_file(target.lake, table, target.stamped(rows), target.name(), held, target.unlike)
    STAGED.add(rows.num_rows + again.num_rows)
    took = Took(group[0], rows.num_rows + again.num_rows, round(perf_counter() - started, 3))
    yield {"table": "records", "file": file.as_json(), "took": took}


def sums_by_window(rows: pa.Table, hashes: Any) -> dict[tuple[str, date], tuple[int, int, int]]:
    """Return rows and both sums of hashes (modulo 2^64) of each site and business date.

    Args:
        hashes: unsigned 64-bit integers of shape (2, rows).
    """
    site = rows.column("site").combine_chunks()
    days = rows.column("business_date").combine_chunks().view(pa.int32()).to_numpy(False)
    first = int(days.min()) if len(days) else 0
    codes = (days - first).astype(np.int64) * len(site.dictionary) + site.indices.to_numpy(False)
    order = by_radix(codes)
    found, starts = np.unique(codes[order], return_index=True)
    sums = np.add.reduceat(hashes[:, order], starts, axis=1) if len(order) else hashes
    counts = np.diff([*starts, len(order)])
    names = site.dictionary.to_pylist()
    return {
        (names[code % len(names)], calendar(first + code // len(names))): (
            int(counts[i]),
            int(sums[0, i]),
            int(sums[1, i]),
        )
        for i, code in enumerate(found.tolist())
    }


def stage_quarantine(
    shard: tuple[int, Iterable[pa.RecordBatch]], target: Target
) -> Iterator[Described]:
    """Write rows set aside as files of at most QUARANTINE_ROWS rows, and describe them."""
    table = tables.quarantine(target.feed.feed)
    gathered: list[pa.RecordBatch] = []
    for batch in shard[1]:
        gathered.append(batch)
        if sum(b.num_rows for b in gathered) >= QUARANTINE_ROWS:
            yield from _quarantine_files(gathered, table, target)
            gathered = []
    if gathered:
        yield from _quarantine_files(gathered, table, target)


def _quarantine_files(
    batches: list[pa.RecordBatch], table: tables.Table, target: Target
) -> Iterator[Described]:
    for file in write_parts(set_aside_rows(batches, target), table, target):
        yield {"table": "quarantine", "file": file.as_json()}


def set_aside_rows(batches: list[pa.RecordBatch], target: Target) -> pa.Table:
    """Return rows set aside as they stand in quarantine."""
    rows = target.stamped(concat(batches))
    return rows.append_column("replayed_run", repeated(None, rows.num_rows))


def write_parts(
    rows: pa.Table, table: tables.Table, target: Target, unlike: Sequence[str] = ()
) -> Iterator[DataFile]:
    """Write rows as one file per business date, not yet visible."""
    days = rows.column("business_date")
    several = pc.unique(days)
    for day in several:
        part = rows
        if len(several) > 1:
            part = rows.filter(pc.equal(days, day) if day.is_valid else pc.is_null(days))
        yield write_file(target.lake, table, part, target.name(), unlike=unlike)


def totals_table(feed: Feed, name: str) -> tables.Table:
    """Return the table of one of a feed's totals."""
    return tables.totals(feed.feed, name, total_schema(feed.totals[name], feed))


def stage_total(group: tuple[str, Iterable[pa.RecordBatch]], target: Target) -> Iterator[Described]:
    """Write a total's merged rows as one file per business date, and describe it."""
    name, batches = group
    table = totals_table(target.feed, name)
    for file in write_parts(target.stamped(concat(batches)), table, target):
        yield {"table": f"totals_{name}", "file": file.as_json()}


@dataclass
class Describe(beam.PTransform):  # type: ignore[misc]
    """Write all that is described, such as files and counts, as one JSON file; none if nothing."""

    place: Place

    def expand(self, described: beam.PCollection[Described]) -> beam.PCollection[None]:
        return (
            described
            | "Key described" >> beam.Map(_keyless)
            | "Gather described" >> beam.GroupByKey()
            | "Write described" >> beam.Map(_describe, place=self.place)
        )


def _keyless(described: Described) -> tuple[None, Described]:
    return None, described


def _describe(gathered: tuple[None, Iterable[Described]], place: Place) -> None:
    place.write_bytes(json.dumps(list(gathered[1])).encode())


def described_count(window: Window, tally: Tally) -> Described:
    """Return a window's counts as JSON data."""
    return {
        "table": "counts",
        "window": [window[0], window[1].isoformat()],
        "tally": tally._asdict(),
    }
