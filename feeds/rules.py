"""Row rules: what each accepted row must satisfy, as vectorised masks."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from isopach.feeds.feed import Feed


@dataclass(frozen=True)
class Rule:
    """A row for which `failing` is true goes to quarantine, with this reason and column."""

    reason: str
    column: str
    failing: pl.Expr


def declared_rules(feed: Feed) -> list[Rule]:
    """Return the rules that a feed's declaration itself states: its required columns."""
    return [
        Rule("missing", name, pl.col(name).is_null())
        for name, column in feed.columns.items()
        if column.required
    ]
