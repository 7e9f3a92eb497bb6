"""The keys of open windows: has a row's key been seen before?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from isopach.transforms.batches import frame

WINDOW = ("site", "business_date")
MOST_RUNS = 8
VIEW_BYTES = 16
"""What Polars keeps of each text beside its bytes."""


class ByHash(NamedTuple):
    """Rows in the order of their keys' hashes: the hashes, ascending, and the rows' numbers."""

    hashes: NDArray[np.uint64]
    rows: NDArray[np.int64]

    @staticmethod
    def of(rows: pa.Table) -> ByHash:
        """Order rows that have `_key`."""
        hashes = rows.column("_key").to_numpy()
        order = np.argsort(hashes)
        return ByHash(hashes[order], order)

    def alike(self) -> NDArray[np.int64]:
        """Return the numbers, ascending, of rows whose hash another row has."""
        same = self.hashes[1:] == self.hashes[:-1]
        if not same.any():
            return self.rows[:0]
        return np.sort(self.rows[np.append(same, False) | np.append(False, same)])

    def among(self, kept: NDArray[np.bool_]) -> ByHash:
        """Return what is left where only some rows are kept, numbered anew."""
        left = kept[self.rows]
        return ByHash(self.hashes[left], (np.cumsum(kept) - 1)[self.rows[left]])


class _Run(NamedTuple):
    """Keys as they came, and their order by hash."""

    keys: pl.DataFrame
    order: ByHash

    @property
    def hashes(self) -> NDArray[np.uint64]:
        return self.order.hashes


class KeyIndex:
    """Keys seen, by their stable hashes; a match is confirmed on the key itself.

    Memory is bounded by the windows that are open: 16 bytes and the key's own for each row. Runs of
    sorted hashes are merged as they become many, as in a log-structured merge tree (O'Neil and
    others, 1996).
    """

    def __init__(self, key: Sequence[str]) -> None:
        self.columns = list(dict.fromkeys([*WINDOW, *key]))
        self.runs: list[_Run] = []

    def add(self, rows: pa.Table, order: ByHash | None = None) -> None:
        """Take in rows whose keys are new; they have `_key` and the key's columns.

        Args:
            order: of the rows, if it is known.
        """
        if not rows.num_rows:
            return
        self.runs.append(_Run(frame(rows.select(self.columns)), order or ByHash.of(rows)))
        if len(self.runs) > MOST_RUNS:
            self._merge()

    def seen(self, rows: pa.Table, order: ByHash | None = None) -> NDArray[np.bool_]:
        """Tell which rows have a key that was taken in before.

        Args:
            order: of the rows, if it is known.
        """
        hashes, numbers = order or ByHash.of(rows)  # neighbours are found where the cache is warm
        found = np.zeros(rows.num_rows, bool)
        for run in self.runs:
            first = np.searchsorted(run.hashes, hashes)
            hits = np.flatnonzero(run.hashes[np.minimum(first, len(run.hashes) - 1)] == hashes)
            if len(hits):
                found[self._confirmed(rows, numbers[hits], run, hashes[hits], first[hits])] = True
        return found

    def _confirmed(
        self,
        rows: pa.Table,
        suspects: NDArray[np.int64],
        run: _Run,
        hashes: NDArray[np.uint64],
        first: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Return which suspects have not just a hash but a key of a run."""
        last = np.searchsorted(run.hashes, hashes, "right")
        pairs = zip(first, last, strict=True)
        stored = np.unique(np.concatenate([np.arange(start, end) for start, end in pairs]))
        asked = frame(rows.select(self.columns).take(pa.array(suspects)))
        same = asked.with_columns(_row=pl.Series(suspects)).join(
            run.keys[run.order.rows[stored]], on=self.columns, how="semi", nulls_equal=True
        )
        return same["_row"].to_numpy()

    def forget(self, windows: pl.DataFrame) -> None:
        """Drop the keys of windows that take no more rows."""
        kept = []
        for run in self.runs:
            rows = run.keys.with_row_index("_row").join(windows, on=list(WINDOW), how="anti")
            left = np.zeros(len(run.hashes), bool)
            left[rows["_row"].to_numpy()] = True
            if left.any():
                kept.append(_Run(run.keys.filter(left), run.order.among(left)))
        self.runs = kept

    @property
    def rows(self) -> int:
        return sum(len(run.hashes) for run in self.runs)

    @property
    def bytes(self) -> int:
        """What the index takes in memory; merging runs takes as much again for a moment."""
        texts = sum(kind == pl.String for run in self.runs[:1] for kind in run.keys.dtypes)
        stored = sum(
            int(sum(part.nbytes for part in run.order) + run.keys.estimated_size())
            for run in self.runs
        )
        return stored + VIEW_BYTES * texts * self.rows

    def _merge(self) -> None:
        """Merge all runs, but for the largest while it is at least twice the others together."""
        self.runs.sort(key=lambda run: len(run.hashes))
        *small, largest = self.runs
        keep = len(largest.hashes) >= 2 * sum(len(run.hashes) for run in small)
        self.runs = [_joined(small), largest] if keep else [_joined(self.runs)]


def _joined(runs: Sequence[_Run]) -> _Run:
    hashes = np.concatenate([run.hashes for run in runs])
    firsts = np.cumsum([0, *(len(run.hashes) for run in runs[:-1])])
    numbers = [run.order.rows + first for run, first in zip(runs, firsts, strict=True)]
    order = np.argsort(hashes)
    keys = pl.concat([run.keys for run in runs], rechunk=True)
    return _Run(keys, ByHash(hashes[order], np.concatenate(numbers)[order]))
