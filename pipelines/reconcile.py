"""Reconcile: a bounded pipeline over what a stream and a night hold of windows that differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

import apache_beam as beam
import polars as pl
import pyarrow as pa

from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import Active, Snapshot
from isopach.lake.files import DataFile
from isopach.lake.places import Place
from isopach.lake.publish import DIFFERENCES
from isopach.lake.replace import read_file
from isopach.lake.windows import windows_frame
from isopach.pipelines.provisional import WINDOW
from isopach.pipelines.staging import Describe
from isopach.transforms.batches import TEXT, concat, pack, unpack
from isopach.transforms.checksum import row_hashes
from isopach.transforms.compare import compare
from isopach.transforms.counts import Window
from isopach.transforms.salt import SaltingPlan, salted
from isopach.transforms.threads import flat_map

STREAM, BATCH = "stream", "batch"
FOUND = "differences"


class Part(NamedTuple):
    """A file of records and the side of the comparison that its rows are on."""

    side: str
    file: Active | DataFile


@dataclass(frozen=True)
class Compared:
    """Where the rows to compare are, and where what differs goes: files in a folder.

    What is staged is held against the visible rows of one mode: a stream's, or those that nights
    have published.
    """

    lake: Place
    feed: Feed
    windows: tuple[Window, ...]
    folder: Place
    mode: str = STREAM

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return [*self.feed.payload.names, *WINDOW, "_mode", "_source", "_position", "_run"]


def parts_of(
    records: Snapshot, staged: Sequence[DataFile], windows: Sequence[Window]
) -> list[Part]:
    """Return the files that may hold rows of some windows, on either side."""
    days = {day.isoformat() for _, day in windows}
    texts = {(site, day.isoformat()) for site, day in windows}
    visible = [Part(STREAM, f) for f in records.files if f.partition["business_date"] in days]
    return visible + [
        Part(BATCH, f) for f in staged if not f.windows or not texts.isdisjoint(f.windows)
    ]


def build(
    pipeline: beam.Pipeline, *, parts: Sequence[Part], to: Compared, plan: SaltingPlan
) -> None:
    """Add the flow that compares windows, record by record, and writes what differs.

    A group of the shuffle holds both sides of its records; their packed rows are what is in memory.
    """
    _ = (
        pipeline
        | "Parts" >> beam.Create(parts)
        | "Read sides"
        >> flat_map(read_side, to=to, plan=plan).with_output_types(tuple[int, tuple[str, bytes]])
        | "Group sides" >> beam.GroupByKey()
        | "Compare" >> flat_map(compared, to=to).with_output_types(dict[str, Any])
        | "Describe" >> Describe(to.folder / f"{FOUND}.json")
    )


def read_side(
    part: Part, to: Compared, plan: SaltingPlan
) -> Iterator[tuple[int, tuple[str, bytes]]]:
    """Yield a file's rows of the windows, packed, by the groups of the plan."""
    table = tables.records(to.feed.feed, to.feed.payload)
    rows = read_file(to.lake, table, part.file, to.columns)
    mode = BATCH if part.side == BATCH else to.mode
    rows = rows.filter(pl.col("_mode") == mode).drop("_mode")
    rows = rows.join(windows_frame(to.windows), on=WINDOW, how="semi")
    if rows.is_empty():
        return
    batch = rows.to_arrow().combine_chunks().to_batches()[0]
    batch = _typed(batch, to.feed)
    groups = frozenset(range(len(plan.rows)))
    for group, some in salted(batch, plan, groups):
        yield group, (part.side, pack(some))


def _typed(batch: pa.RecordBatch, feed: Feed) -> pa.RecordBatch:
    """Return stored rows in the payload's types, with the site's texts once and the key's hash."""
    types = {field.name: field.type for field in feed.payload}
    fields = [pa.field(f.name, types.get(f.name, f.type)) for f in batch.schema]
    fields = [f.with_type(TEXT) if f.name == "site" else f for f in fields]
    typed = batch.cast(pa.schema(fields))
    key = row_hashes(typed, [*WINDOW, *feed.key])[0]
    return typed.append_column("_key", pa.array(key))


def compared(
    group: tuple[int, Iterable[tuple[str, bytes]]], to: Compared
) -> Iterator[dict[str, Any]]:
    """Compare a group's sides; write what differs as a file, and describe it."""
    sides: dict[str, list[pa.RecordBatch]] = {STREAM: [], BATCH: []}
    for side, packed in group[1]:
        sides[side].append(unpack(packed))
    some = next(batch for batches in sides.values() for batch in batches)
    tables_of = {side: concat(batches or [some.slice(0, 0)]) for side, batches in sides.items()}
    found = compare(tables_of[STREAM], tables_of[BATCH], to.feed)
    if found.is_empty():
        return
    name = f"{FOUND}-{uuid4().hex}.parquet"
    place = to.folder / name
    place.make_parent()
    with place.filesystem.open_output_stream(place.path) as sink:
        found.write_parquet(sink)
    yield {"name": name, "rows": found.height}


def found_files(folder: Place) -> list[Place]:
    """Return the files of differences that a pipeline has described; none if it found none."""
    described = folder / f"{FOUND}.json"
    if not described.exists():
        return []
    return [folder / one["name"] for one in json.loads(described.read_bytes())]


def forget_found(folder: Place) -> None:
    """Delete what an earlier comparison has described in a folder."""
    for name in (f"{FOUND}.json", DIFFERENCES):
        (folder / name).delete()
