from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from isopach.feeds.suites import Expectation


@dataclass(frozen=True)
class Compiled:
    failing: pl.Expr
    evaluated: pl.Expr


def compiled(one: Expectation, schema: pa.Schema) -> Compiled | None:
    k = one.kwargs
    c = pl.col(k["column"]) if "column" in k else None
    if one.type == "expect_column_values_to_be_between":
        f = pl.lit(False)
        if k.get("min_value") is not None:
            f = f | (c < k["min_value"])
        if k.get("max_value") is not None:
            f = f | (c > k["max_value"])
        return Compiled(f.fill_null(False), c.is_not_null())
    if one.type == "expect_column_value_lengths_to_be_between":
        n = c.cast(pl.String).str.len_chars()
        return Compiled(
            ((n < k["min_value"]) | (n > k["max_value"])).fill_null(False), c.is_not_null()
        )
    return None
