"""What a stream of made-up sales events holds, to compare a run with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from isopach.feeds.sales_event_faults import KINDS
from isopach.feeds.sales_lines import Texts, event_ids, local_days

EVENT_FAULTS = pl.Schema(
    {
        "site": pl.String(),
        "business_date": pl.Date(),
        "kind": pl.String(),
        "event_id": pl.String(),
        "partition": pl.Int64(),
        "position": pl.Int64(),
        "disposition": pl.String(),
        "reason": pl.String(),
    }
)


@dataclass(frozen=True)
class StreamTruth:
    """Events sent, events to accept, and which are not plain.

    `faults` has one row per such event: site and business date of the sale, kind, event id,
    partition, position there, and the disposition and reason that are expected. Events that are
    never sent have neither position nor disposition.
    """

    events: int
    accepted: int
    faults: pl.DataFrame


def expected(sent: int, odd: pl.DataFrame, texts: Texts) -> StreamTruth:
    """Return what is expected of so many events, of which some are not plain."""
    kind = pl.col("kind").cast(pl.String)
    disposition, reason = (
        {name: expectation[part] for name, expectation in KINDS.items()} for part in (0, 1)
    )
    stores = pl.Series(texts.stores, dtype=pl.String)
    faults = odd.with_columns(
        site=stores.gather(odd["store"]),
        business_date=pl.Series(local_days(odd, texts).astype(np.int32)).cast(pl.Date),
        event_id=event_ids(odd, texts),
        disposition=kind.replace_strict(disposition, return_dtype=pl.String),
        reason=kind.replace_strict(reason, return_dtype=pl.String),
    )
    refused = int((faults["disposition"] != "accepted").sum())
    return StreamTruth(sent, sent - refused, faults.select(EVENT_FAULTS.names()).cast(EVENT_FAULTS))
