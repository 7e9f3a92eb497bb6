"""Salting: even groups for the shuffle, whatever the sizes of the sites.

The plan comes from what is known before reading. A site with more rows than the target is split
into salts by a stable hash of the key, so that duplicates meet and a retry takes the same way;
smaller sites are packed together into bins of about the target (first fit, decreasing: Johnson,
1973).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import apache_beam as beam
import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Share:
    """The groups that a site's rows go to: `salts` of them, from `first` on."""

    first: int
    salts: int = 1


@dataclass(frozen=True)
class SaltingPlan:
    """Where each site's rows go, and how many rows each group expects."""

    shares: Mapping[str, Share]
    rows: tuple[int, ...]


def plan_salts(rows: Mapping[str, int], target: int) -> SaltingPlan:
    """Return the plan for sites of these sizes (rows) and a target size of a group (rows)."""
    shares: dict[str, Share] = {}
    expected: list[int] = []
    room: list[tuple[int, int]] = []  # group, rows still to spare
    for site, size in sorted(rows.items(), key=lambda item: (-item[1], item[0])):
        salts = ceil(size / target)
        if salts > 1:
            shares[site] = Share(len(expected), salts)
            expected += [ceil(size / salts)] * salts
            continue
        fit = next((i for i, (_, spare) in enumerate(room) if spare >= size), None)
        if fit is None:
            room.append((len(expected), target))
            expected.append(0)
            fit = len(room) - 1
        group, spare = room[fit]
        shares[site] = Share(group)
        expected[group] += size
        room[fit] = (group, spare - size)
        if room[fit][1] <= 0:
            del room[fit]
    return SaltingPlan(shares, tuple(expected))


@dataclass
class Salt(beam.PTransform):  # type: ignore[misc]
    """Key batches by the group of their site and salt, keeping only some groups."""

    plan: SaltingPlan
    groups: frozenset[int]

    def expand(
        self, accepted: beam.PCollection[pa.RecordBatch]
    ) -> beam.PCollection[tuple[int, pa.RecordBatch]]:
        return accepted | "Salt" >> beam.FlatMap(
            salted, plan=self.plan, groups=self.groups
        ).with_output_types(tuple[int, pa.RecordBatch])


def salted(
    batch: pa.RecordBatch, plan: SaltingPlan, groups: frozenset[int]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Split a prepared batch by group: sorted once, then sliced."""
    of_row = group_of(batch, plan)
    first = int(of_row[0])
    if (of_row == first).all():
        if first in groups:
            yield first, batch
        return
    order = np.argsort(of_row, kind="stable")
    ordered = batch.take(pa.array(order))
    found, starts = np.unique(of_row[order], return_index=True)
    ends = [*starts[1:], len(order)]
    for group, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True):
        if group in groups:
            yield group, ordered.slice(start, end - start)


def group_of(batch: pa.RecordBatch, plan: SaltingPlan) -> np.ndarray:
    """Return the group of each row of a prepared batch."""
    site = batch.column("site")
    shares = [plan.shares[name] for name in site.dictionary.to_pylist()]
    if len(shares) == 1 and shares[0].salts == 1:
        return np.full(batch.num_rows, shares[0].first, np.int32)
    of_row = site.indices.to_numpy(False)
    first = np.array([share.first for share in shares], np.int32)[of_row]
    salts = np.array([share.salts for share in shares], np.uint64)[of_row]
    return first + (batch.column("_key").to_numpy(False) % salts).astype(np.int32)
