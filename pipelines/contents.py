"""Contents: rows and checksums of a table's files, by window and by where the rows come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from isopach.lake.commits import Active
from isopach.lake.places import Place
from isopach.lake.replace import read_file, to_table
from isopach.lake.tables import Table
from isopach.lake.windows import checksum_text
from isopach.transforms.checksum import row_hashes

BY = ["site", "_mode", "_source"]
LATER = "replayed_run"
"""What a replay writes into rows set aside, which stay what they are."""
SCHEMA = {
    **dict.fromkeys(BY, pl.String()),
    **dict.fromkeys(("rows", "first", "next"), pl.Int64()),
    **dict.fromkeys(("all_a", "all_b", "payload_a", "payload_b"), pl.UInt64()),
}
NO_SOURCE = {"_source": pl.lit(None, pl.String), "_position": pl.lit(None, pl.Int64)}
Pick = Callable[[pl.DataFrame], pl.DataFrame]


def contents_of(
    lake: Place, table: Table, files: Sequence[Active], pick: Pick, payload: Sequence[str] = ()
) -> pl.DataFrame:
    """Return rows, positions and sums of hashes by site, mode and source.

    Files are read one after the other, as sums add up: over all columns but `replayed_run`, and
    over the payload's.

    Args:
        pick: given a file's rows, returns those to look at.
    """
    parts = [pl.DataFrame(schema=SCHEMA)]
    for file in files:
        rows = pick(read_file(lake, table, file, table.schema.names))
        if not rows.is_empty():
            parts.append(_summed(rows, table, payload))
    return merged(pl.concat(parts), BY)


def merged(parts: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Return contents added up; sums wrap at 2^64, as checksums do."""
    least, most = pl.col("first").min(), pl.col("next").max()
    sums = pl.col("rows", "all_a", "all_b", "payload_a", "payload_b").sum()
    return parts.group_by(by).agg(sums, least, most).sort(by)


def checksums_in(contents: pl.DataFrame, columns: str) -> list[str]:
    """Return checksums as the ledger writes them, over `all` columns or the `payload`'s."""
    sums = contents.select(f"{columns}_a", f"{columns}_b")
    return [checksum_text(first, second) for first, second in sums.iter_rows()]


def _summed(rows: pl.DataFrame, table: Table, payload: Sequence[str]) -> pl.DataFrame:
    if "_source" not in rows.columns:
        rows = rows.with_columns(**NO_SOURCE)
    ordered = rows.sort(BY)
    every = pa.schema([field for field in table.schema if field.name != LATER])
    data = to_table(ordered, every)
    hashes = np.concatenate([row_hashes(data, list(c), 2) for c in (every.names, payload)])
    runs = ordered.select(pl.struct(BY).rle_id().alias("run")).with_row_index("row")
    starts = runs.unique("run", keep="first", maintain_order=True)["row"].to_numpy()
    sums = np.add.reduceat(hashes, starts, axis=1)
    grouped = ordered.group_by(BY, maintain_order=True).agg(
        rows=pl.len().cast(pl.Int64),
        first=pl.col("_position").min(),
        next=pl.col("_position").max() + 1,
    )
    named = dict(zip(list(SCHEMA)[-4:], sums, strict=True))
    return grouped.with_columns(pl.Series(name, values) for name, values in named.items())
