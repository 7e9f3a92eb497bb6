"""Row rules: what each accepted row must satisfy, as vectorised masks."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from isopach.feeds.feed import Feed


@dataclass(frozen=True)
class Rule:
    """A row for which `failing` is true goes to quarantine, with this reason and column.

    A rule with a `label` is one of a suite: it looks at the rows that everything else lets through,
    with what is computed from them, and counts those that it found a value in (`evaluated`).
    """

    reason: str
    column: str
    failing: pl.Expr
    label: str | None = None
    evaluated: pl.Expr | None = None


def declared_rules(feed: Feed) -> list[Rule]:
    """Return the rules that a feed's declaration itself states: its required columns."""
    return [
        Rule("missing", name, pl.col(name).is_null())
        for name, column in feed.columns.items()
        if column.required
    ]
