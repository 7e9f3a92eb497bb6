"""Rules of a suite: rows that do not meet them are marked, and counted by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from isopach.feeds.rules import Rule
from isopach.transforms.batches import frame
from isopach.transforms.counts import Tally, Window
from isopach.transforms.quarantine import REJECTED, Mark, Marks

WINDOW = ["site", "business_date"]


def without_unexpected(
    good: pa.RecordBatch, rules: Sequence[Rule], marks: Marks
) -> tuple[pa.RecordBatch, list[tuple[Window, Tally]]]:
    """Mark rows that do not meet a suite; return the others, and how many did not, by window.

    Args:
        good: the rows that have no mark yet, in order, with what is computed from them.
    """
    suite = [rule for rule in rules if rule.label is not None]
    if not suite or not good.num_rows:
        return good, []
    used = {name for rule in suite for name in _columns(rule)}
    looked = frame(good.select(sorted(used.union(WINDOW)))).select(
        *WINDOW,
        *(rule.failing.alias(f"failing{number}") for number, rule in enumerate(suite)),
        *(_evaluated(rule).alias(f"evaluated{number}") for number, rule in enumerate(suite)),
    )
    kept = _marked(looked, suite, marks)
    rest = good if kept.all() else good.filter(pa.array(kept))
    return rest, list(_counted(looked, [str(rule.label) for rule in suite]))


def _columns(rule: Rule) -> list[str]:
    return [*rule.failing.meta.root_names(), *_evaluated(rule).meta.root_names()]


def _evaluated(rule: Rule) -> pl.Expr:
    return pl.lit(True) if rule.evaluated is None else rule.evaluated


def _marked(looked: pl.DataFrame, suite: Sequence[Rule], marks: Marks) -> np.ndarray:
    """Mark the failing rows of a batch, and return which of those looked at are kept."""
    unmarked = np.ones(marks.rows, bool) if marks.marked is None else ~marks.marked
    kept = np.ones(looked.height, bool)
    for number, rule in enumerate(suite):
        mask = looked[f"failing{number}"]
        if mask.any():
            failing = np.zeros(marks.rows, bool)
            failing[unmarked] = mask.to_numpy()
            kept &= ~mask.to_numpy()
            marks.set(failing, Mark(REJECTED, rule.reason, rule.column))
    return kept


def _counted(looked: pl.DataFrame, labels: Sequence[str]) -> Iterator[tuple[Window, Tally]]:
    sums = looked.group_by(pl.col("site").cast(pl.String), "business_date").agg(
        pl.all().exclude(WINDOW).sum()
    )
    for row in sums.iter_rows(named=True):
        unexpected, evaluated = (
            tuple((label, row[f"{name}{number}"]) for number, label in enumerate(labels))
            for name in ("failing", "evaluated")
        )
        window = (row["site"], row["business_date"])
        yield window, Tally(unexpected=unexpected, evaluated=evaluated)
