"""Prepare batches: conform, check and stamp rows; the bad ones go to quarantine."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from isopach.feeds.feed import Feed
from isopach.feeds.rules import Rule
from isopach.feeds.sites import Sites
from isopach.transforms.batches import frame, pack, unpack, with_column, without_views
from isopach.transforms.checksum import row_hashes
from isopach.transforms.conform import conform, extend
from isopach.transforms.counts import Tally, Window
from isopach.transforms.expected import without_unexpected
from isopach.transforms.quarantine import (
    LATE,
    REJECTED,
    Mark,
    Marks,
    as_json,
    key_text,
    quarantined,
    readable,
)
from isopach.transforms.stamp import (
    business_dates,
    day_number,
    encoded,
    other_sites,
    unknown_sites,
)
from isopach.transforms.threads import flat_map

META = ("_source", "_position", "_raw", "_error")
"""Columns of an arrival beside the site's own: where a row is from, and for text formats the
original line and what made it unreadable."""


class Arrival(NamedTuple):
    """A batch as read: in the window of its delivery; rows of a stream are in their own."""

    site: str | None
    day: date | None
    batch: pa.RecordBatch
    bytes: int = 0


class ArrivalCoder(beam.coders.Coder):  # type: ignore[misc]
    """Code arrivals with their batch packed."""

    def encode(self, arrival: Arrival) -> bytes:
        return pickle.dumps(arrival._replace(batch=pack(arrival.batch)))

    def decode(self, encoded: bytes) -> Arrival:
        arrival: Arrival = pickle.loads(encoded)
        return arrival._replace(batch=unpack(arrival.batch))

    def estimate_size(self, arrival: Arrival) -> int:
        return arrival.batch.nbytes

    def is_deterministic(self) -> bool:
        return False

    def to_type_hint(self) -> Any:
        return Arrival


beam.coders.registry.register_coder(Arrival, ArrivalCoder)


class Outcome(NamedTuple):
    """What became of a batch: good rows, rows set aside, and their counts in its window.

    `expected` says how many rows do not meet the rules of a suite, in the rows' own windows.
    """

    accepted: pa.RecordBatch
    quarantined: pa.RecordBatch | None
    tally: Tally
    expected: list[tuple[Window, Tally]]


class Prepared(NamedTuple):
    """The outputs of Prepare."""

    accepted: beam.PCollection[pa.RecordBatch]
    quarantined: beam.PCollection[pa.RecordBatch]
    tallies: beam.PCollection[tuple[Window, Tally]]


@dataclass
class Prepare(beam.PTransform):  # type: ignore[misc]
    """Conform, check and stamp arrivals; bad rows go to quarantine."""

    feed: Feed
    sites: Sites
    rules: list[Rule]

    def expand(self, arrivals: beam.PCollection[Arrival]) -> Prepared:
        outputs = arrivals | "Check rows" >> flat_map(
            _tagged, feed=self.feed, sites=self.sites, rules=self.rules
        ).with_output_types(
            pa.RecordBatch, quarantined=pa.RecordBatch, tallies=tuple[Window, Tally]
        ).with_outputs("quarantined", "tallies", main="accepted")
        return Prepared(outputs.accepted, outputs.quarantined, outputs.tallies)


def _tagged(arrival: Arrival, feed: Feed, sites: Sites, rules: list[Rule]) -> Iterator[Any]:
    outcome = prepare(arrival, feed, sites, rules)
    if outcome.accepted.num_rows:
        yield outcome.accepted
    if outcome.quarantined is not None:
        yield beam.pvalue.TaggedOutput("quarantined", outcome.quarantined)
    for tally in (((arrival.site, arrival.day), outcome.tally), *outcome.expected):
        yield beam.pvalue.TaggedOutput("tallies", tally)


def prepare(arrival: Arrival, feed: Feed, sites: Sites, rules: list[Rule]) -> Outcome:
    """Return the good rows of a batch, stamped, and the others as quarantine rows.

    Accepted rows have the feed's payload columns, `site`, `business_date`, `_source`, `_position`
    and `_key`, a stable hash of site, business date and key.
    """
    batch = without_views(arrival.batch)
    marks = Marks(batch.num_rows)
    _mark_errors(batch, marks)
    _mark_extra_columns(batch, feed, marks)
    conformed = conform(batch, feed, sites, marks)
    _mark_rules(conformed, [rule for rule in rules if rule.label is None], marks)
    site = encoded(conformed.column(feed.site))
    _mark_sites(site, arrival, feed, sites, marks)
    days = _own_dates(conformed, site, feed, sites)
    if arrival.day is not None:
        _mark_other_dates(days, arrival.day, feed, marks)
    stamped = _stamped(conformed, site, days, batch, feed)
    tally = Tally(read=batch.num_rows, bytes=arrival.bytes, extra=_extra(batch, feed))
    sound = marks.marked
    good = extend(stamped if sound is None else stamped.filter(pa.array(~sound)), feed)
    good, expected = without_unexpected(good, rules, marks)
    good = _keyed(good, feed)
    bad = marks.marked
    if bad is None:
        return Outcome(good, None, tally, expected)
    aside = _aside(batch, stamped, bad, marks, arrival, feed, sites)
    late = int((pl.Series(aside.column("disposition")) == LATE).sum())
    tally = tally._replace(late=late, rejected=aside.num_rows - late)
    return Outcome(good, aside, tally, expected)


def _mark_errors(batch: pa.RecordBatch, marks: Marks) -> None:
    if "_error" not in batch.schema.names:
        return
    errors = pl.Series(batch.column("_error"))
    for reason in errors.drop_nulls().unique():
        marks.set((errors == reason).fill_null(False).to_numpy(), Mark(REJECTED, reason, None))


def extra_columns(batch: pa.RecordBatch, feed: Feed) -> list[str]:
    """Return a batch's columns that the feed does not declare."""
    return [n for n in batch.schema.names if n not in feed.columns and n not in META]


def _extra(batch: pa.RecordBatch, feed: Feed) -> tuple[tuple[str, int], ...]:
    """Return undeclared columns that have values, and in how many rows."""
    filled = {
        name: batch.num_rows - batch.column(name).null_count for name in extra_columns(batch, feed)
    }
    return tuple((name, rows) for name, rows in sorted(filled.items()) if rows)


def _mark_extra_columns(batch: pa.RecordBatch, feed: Feed, marks: Marks) -> None:
    if feed.extra_columns == "reject":
        for name in extra_columns(batch, feed):
            filled = pc.is_valid(batch.column(name)).to_numpy(False)
            marks.set(filled, Mark(REJECTED, "extra_column", name))


def _mark_rules(conformed: pa.RecordBatch, rules: list[Rule], marks: Marks) -> None:
    used = {name for rule in rules for name in rule.failing.meta.root_names()}
    view = frame(conformed.select(sorted(used)))
    masks = view.select(rule.failing.fill_null(False).alias(str(i)) for i, rule in enumerate(rules))
    for rule, mask in zip(rules, masks, strict=True):
        if mask.any():
            marks.set(mask.to_numpy(), Mark(REJECTED, rule.reason, rule.column))


def _mark_sites(
    site: pa.DictionaryArray, arrival: Arrival, feed: Feed, sites: Sites, marks: Marks
) -> None:
    unknown = unknown_sites(site, sites)
    marks.set(unknown, Mark(REJECTED, "unknown_site", feed.site))
    if arrival.site is not None:
        elsewhere = other_sites(site, arrival.site)
        marks.set(elsewhere, Mark(REJECTED, "other_site", feed.site))


def _own_dates(
    conformed: pa.RecordBatch, site: pa.DictionaryArray, feed: Feed, sites: Sites
) -> Any:
    if feed.business_date:
        declared = conformed.column(feed.business_date).view(pa.int32())
        return declared.fill_null(0).to_numpy(False)
    return business_dates(conformed.column(feed.event_time), site, sites)


def _mark_other_dates(days: Any, day: date, feed: Feed, marks: Marks) -> None:
    """Mark rows of another business date than their delivery's: earlier is late, later is early."""
    column, number = feed.business_date or feed.event_time, day_number(day)
    marks.set(days < number, Mark(LATE, "earlier_business_date", column))
    marks.set(days > number, Mark(REJECTED, "outside_window", column))


def _stamped(
    conformed: pa.RecordBatch,
    site: pa.DictionaryArray,
    days: Any,
    batch: pa.RecordBatch,
    feed: Feed,
) -> pa.RecordBatch:
    stamps = {
        feed.site: site,
        "site": site,
        "business_date": pa.array(days).view(pa.date32()),
        "_source": batch.column("_source"),
        "_position": batch.column("_position"),
    }
    columns = dict(zip(conformed.schema.names, conformed.columns, strict=True)) | stamps
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _keyed(batch: pa.RecordBatch, feed: Feed) -> pa.RecordBatch:
    key = row_hashes(batch, ["site", "business_date", *feed.key])[0]
    return with_column(batch, "_key", pa.array(key))


def _aside(
    batch: pa.RecordBatch,
    stamped: pa.RecordBatch,
    bad: Any,
    marks: Marks,
    arrival: Arrival,
    feed: Feed,
    sites: Sites,
) -> pa.RecordBatch:
    """Return marked rows as quarantine rows, with the original as it was read."""
    chosen = pa.array(bad)
    original, rows = frame(readable(batch.filter(chosen))), frame(stamped.filter(chosen))
    payload = [name for name in original.columns if name not in META]
    view = rows.select(
        "site",
        "business_date",
        "_source",
        "_position",
        key_text(feed.key),
        dated=pl.col(feed.business_date or feed.event_time).is_not_null(),
    ).with_columns(
        raw=original.select(as_json(payload) if payload else pl.lit(None)).to_series(),
        original=original["_raw"] if "_raw" in original.columns else pl.lit(None, pl.String),
    )
    known = pl.col("site").is_in(list(sites.by_id))
    own = pl.when(known & pl.col("dated")).then("business_date")
    return quarantined(
        pl.concat([marks.frame(), view], how="horizontal").with_columns(
            raw=pl.coalesce("original", "raw"),
            site=pl.lit(arrival.site) if arrival.site else pl.when(known).then("site"),
            business_date=pl.lit(arrival.day) if arrival.day else own,
            row_date=own,
        )
    )
