"""The nightly graph: what belongs to a business date, staged; here from deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import ceil
from zlib import crc32

import apache_beam as beam
import pyarrow as pa

from isopach.feeds.feed import Feed
from isopach.feeds.rules import Rule
from isopach.feeds.sites import Sites
from isopach.lake.places import Place
from isopach.pipelines.pieces import Piece
from isopach.pipelines.reading import ReadPieces
from isopach.pipelines.staging import (
    Describe,
    StageGroups,
    Target,
    described_count,
    stage_quarantine,
    stage_total,
)
from isopach.transforms.counts import SiteCounts, Tally, Window
from isopach.transforms.prepare import Prepare, Prepared
from isopach.transforms.salt import Salt, SaltingPlan
from isopach.transforms.totals import Totals

SHARD_ROWS = 1 << 23
"""Rows of a wave for each group that rows set aside are gathered in, should all be bad."""


@dataclass(frozen=True)
class Wave:
    """The part of a night that one pipeline stages: some groups, and the pieces they come from.

    A site whose groups are spread over several waves is read in each; `counted` are the sites
    whose rows read and set aside are counted in this one. A log is read whole in each wave, and
    counted in the first.
    """

    number: int
    groups: frozenset[int]
    pieces: tuple[Piece, ...]
    counted: frozenset[str]


def build(
    pipeline: beam.Pipeline,
    *,
    feed: Feed,
    sites: Sites,
    rules: list[Rule],
    landing: Place,
    target: Target,
    plan: SaltingPlan,
    wave: Wave,
) -> None:
    """Add the flow that stages a wave: files under the tables' folders, described in one file."""
    read = pipeline | "Pieces" >> beam.Create(wave.pieces) | "Read" >> ReadPieces(feed, landing)
    prepared = read.arrivals | "Prepare" >> Prepare(feed, sites, rules)
    once = {"counted": wave.counted}
    quarantined = (
        (read.quarantined, prepared.quarantined)
        | "Flatten set aside" >> beam.Flatten()
        | "Set aside once" >> beam.Filter(_is_counted_row, **once).with_output_types(pa.RecordBatch)
    )
    tallies = (
        (read.tallies, prepared.tallies)
        | "Flatten reading counts" >> beam.Flatten()
        | "Count once"
        >> beam.Filter(_is_counted_tally, **once).with_output_types(tuple[Window, Tally])
    )
    rows = sum(piece.rows for piece in wave.pieces)
    stage(Prepared(prepared.accepted, quarantined, tallies), sites, target, plan, wave, rows)


def stage(
    prepared: Prepared, sites: Sites, target: Target, plan: SaltingPlan, wave: Wave, rows: int
) -> None:
    """Add what follows once rows are prepared, wherever they are from.

    Args:
        rows: how many rows may be set aside, at most.
    """
    staged = (
        prepared.accepted
        | "Salt" >> Salt(plan, wave.groups)
        | "Group" >> beam.GroupByKey()
        | "Stage" >> StageGroups(target)
    )
    aside = (
        (prepared.quarantined, staged.quarantined)
        | "Flatten quarantine" >> beam.Flatten()
        | "Shard quarantine"
        >> beam.Map(_with_shard, shards=ceil(rows / SHARD_ROWS) or 1).with_output_types(
            tuple[int, pa.RecordBatch]
        )
        | "Group quarantine" >> beam.GroupByKey()
        | "Stage quarantine" >> beam.FlatMap(stage_quarantine, target=target)
    )
    counts = (
        (prepared.tallies, staged.tallies)
        | "Flatten counts" >> beam.Flatten()
        | "Count sites" >> SiteCounts(sites)
        | "Describe counts" >> beam.MapTuple(described_count)
        | "Counts of all windows" >> beam.WindowInto(beam.window.GlobalWindows())
    )
    totals = (
        staged.totals
        | "Totals" >> Totals(target.feed, sites)
        | "Totals of all windows" >> beam.WindowInto(beam.window.GlobalWindows())
        | "Name totals" >> beam.MapTuple(_named).with_output_types(tuple[str, pa.RecordBatch])
        | "Group totals" >> beam.GroupByKey()
        | "Stage totals" >> beam.FlatMap(stage_total, target=target)
    )
    _ = (
        (staged.files, aside, counts, totals)
        | "Flatten described" >> beam.Flatten()
        | "Describe" >> Describe(target.folder / f"wave-{wave.number:04}.json")
    )


def _is_counted_row(batch: pa.RecordBatch, counted: frozenset[str]) -> bool:
    """Tell whether a batch, all of one delivery, is of a site counted in this wave."""
    return batch.column("site")[0].as_py() in counted


def _is_counted_tally(element: tuple[Window, Tally], counted: frozenset[str]) -> bool:
    return element[0][0] in counted


def _with_shard(batch: pa.RecordBatch, shards: int) -> tuple[int, pa.RecordBatch]:
    return crc32(batch.column("site")[0].as_py().encode()) % shards, batch


def _named(key: tuple[str, str, date], batch: pa.RecordBatch) -> tuple[str, pa.RecordBatch]:
    return key[0], batch
