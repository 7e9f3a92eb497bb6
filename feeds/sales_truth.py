"""What a night of made-up sales holds, to compare a run with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from isopach.feeds.deliveries import Delivery, File
from isopach.feeds.sales_rows import Sales, event_ids

FAULTS = pl.Schema(
    {
        "site": pl.String(),
        "business_date": pl.Date(),
        "kind": pl.String(),
        "event_id": pl.String(),
        "file": pl.String(),
        "row": pl.Int64(),
    }
)


@dataclass(frozen=True)
class Truth:
    """Rows in the winning deliveries' readable files, rows to accept, and what is faulty.

    `accepted` counts the unique valid rows of the stores that are not held. `faults` has one row
    per faulty row or file: site and business date of its delivery, kind, event id where there is
    one, file or folder relative to the landing zone, row counted from 0 within the file.
    """

    rows: int
    accepted: int
    faults: pl.DataFrame


def total(parts: Sequence[Truth]) -> Truth:
    """Return the truth of several deliveries together."""
    return Truth(
        rows=sum(part.rows for part in parts),
        accepted=sum(part.accepted for part in parts),
        faults=pl.concat([part.faults for part in parts] or [pl.DataFrame(schema=FAULTS)]),
    )


def truth_of(sales: Sales, delivery: Delivery, files: Sequence[File]) -> Truth:
    """Return the truth of a delivery without faults other than the ordinary dirt."""
    faults = pl.concat(
        faulty_rows(kind, delivery, files, at, event_ids(sales.store, sales.day, sales.event[at]))
        for kind, at in (("duplicate", sales.duplicates), ("null_sku", sales.null_skus))
    )
    return Truth(len(sales.event), len(sales.event) - faults.height, faults)


def faulty_rows(
    kind: str,
    delivery: Delivery,
    files: Sequence[File],
    at: NDArray[np.int64],
    ids: pa.Array | None = None,
) -> pl.DataFrame:
    """Return one fault per row of a delivery, `at` counting through its files."""
    first = np.cumsum([0] + [file.rows for file in files])
    file = np.searchsorted(first, at, side="right") - 1
    paths = pl.Series([delivery.relative(f.name) for f in files], dtype=pl.String)
    return _faults(kind, delivery, paths.gather(file), pl.Series(at - first[file]), ids)


def faulty_files(kind: str, delivery: Delivery, names: Sequence[str]) -> pl.DataFrame:
    """Return one fault per named file of a delivery."""
    paths = pl.Series([delivery.relative(name) for name in names], dtype=pl.String)
    return _faults(kind, delivery, paths, pl.Series([None] * len(names)), None)


def _faults(
    kind: str, delivery: Delivery, paths: pl.Series, rows: pl.Series, ids: pa.Array | None
) -> pl.DataFrame:
    columns = {
        "site": delivery.site,
        "business_date": delivery.day,
        "kind": kind,
        "event_id": pl.Series([None] * len(paths)) if ids is None else pl.Series(ids),
        "file": paths,
        "row": rows,
    }
    return pl.DataFrame(columns, schema=FAULTS)
