from __future__ import annotations

from typing import Any

import polars as pl


def to_pandas(rows: pl.DataFrame) -> Any:
    return rows.to_pandas(use_pyarrow_extension_array=True)
