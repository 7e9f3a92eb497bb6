"""Masks: a compiled expectation."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Compiled:
    """An expectation as masks, which are never null.

    `failing` is true where a row does not meet it, `evaluated` where Great Expectations counts the
    row as having a value to look at.
    """

    failing: pl.Expr
    evaluated: pl.Expr
