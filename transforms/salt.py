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

from isopach.transforms.batches import by_radix, pack
from isopach.transforms.threads import flat_map


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
    """Key batches by the group of their site and salt, packed; only some groups are kept.

    They are packed here, once: as batches, the embedded runner would decode and encode them again
    when it groups.
    """

    plan: SaltingPlan
    groups: frozenset[int]

    def expand(
        self, accepted: beam.PCollection[pa.RecordBatch]
    ) -> beam.PCollection[tuple[int, bytes]]:
        return accepted | "Salt" >> flat_map(
            packed, plan=self.plan, groups=self.groups
        ).with_output_types(tuple[int, bytes])


def packed(
    batch: pa.RecordBatch, plan: SaltingPlan, groups: frozenset[int]
) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of a prepared batch, packed, with their groups."""
    for group, part in salted(batch, plan, groups):
        yield group, pack(part)


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
    order = by_radix(of_row)
    ordered = batch.take(pa.array(order))
    found, starts = np.unique(of_row[order], return_index=True)
    ends = [*starts[1:], len(order)]
    for group, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True):
        if group in groups:
            yield group, ordered.slice(start, end - start)


def group_of(batch: pa.RecordBatch, plan: SaltingPlan) -> np.ndarray:
    """Return the group of each row of a prepared batch."""
    site = batch.column("site")
    of_row = site.indices.to_numpy(False)
    names = site.dictionary.to_pylist()
    present = np.flatnonzero(np.bincount(of_row, minlength=len(names)))
    shares = {code: plan.shares[names[code]] for code in present.tolist()}
    if len(shares) == 1:
        (share,) = shares.values()
        if share.salts == 1:
            return np.full(batch.num_rows, share.first, np.int32)
    first, salts = np.zeros(len(names), np.int32), np.ones(len(names), np.uint64)
    for code, share in shares.items():
        first[code], salts[code] = share.first, share.salts
    salt = batch.column("_key").to_numpy(False) % salts[of_row]
    return first[of_row] + salt.astype(np.int32)
