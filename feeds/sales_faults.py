"""Known faults in a night of made-up sales: which store has which, and its deliveries."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from isopach.feeds.deliveries import Delivery, File, write_manifest
from isopach.feeds.sales_files import as_text, json_lines, write_csv, write_lines, write_parquet
from isopach.feeds.sales_rows import SKUS, Sales, draw, event_ids, table, tables
from isopach.feeds.sales_truth import Truth, faulty_files, faulty_rows, truth_of

OUTSIDE_FIRST = 90_000_000  # events of other dates: numbers that no other night gives out


@dataclass(frozen=True)
class Night:
    """What it takes to write one store's delivery."""

    delivery: Delivery
    sales: Sales
    prices: pa.Array
    rng: np.random.Generator

    @property
    def share(self) -> int:
        """Return how many rows a fault touches: one in forty, six at least."""
        return max(6, len(self.sales.event) // 40)

    def pick(self, count: int) -> NDArray[np.int64]:
        """Return ascending indices of random rows that are neither repeated nor without sku."""
        sales = self.sales
        repeated = np.isin(sales.event, sales.event[sales.duplicates])
        repeated[sales.null_skus] = True
        clean = np.flatnonzero(~repeated)
        return np.sort(self.rng.choice(clean, min(count, len(clean)), replace=False))

    def ids(self, at: NDArray[np.int64]) -> pa.Array:
        """Return the event ids of rows."""
        return event_ids(self.sales.store, self.sales.day, self.sales.event[at])

    def finish(self, files: list[File]) -> Truth:
        """Write a true manifest and return the truth of sales without further faults."""
        write_manifest(self.delivery, files)
        return truth_of(self.sales, self.delivery, files)


Deliver = Callable[[Night], Truth]


def deliver_plain(night: Night) -> Truth:
    """Deliver Parquet files as they should be."""
    return night.finish(write_parquet(night.delivery, tables(night.sales, night.prices)))


def deliver_csv(night: Night, form: str) -> Truth:
    """Deliver a CSV file."""
    return night.finish(write_csv(night.delivery, _text(night), form))


def deliver_json(night: Night, form: str) -> Truth:
    """Deliver a file of JSON lines."""
    return night.finish(write_lines(night.delivery, json_lines(_text(night)), form))


def deliver_malformed(night: Night) -> Truth:
    """Deliver a CSV file with values that are no number, no price or no time, one in a row."""
    at = night.pick(night.share)
    bad = (("quantity", "abc"), ("unit_price", "12,5O"), ("sold_at", "yesterday"))
    frame = _text(night).cast({"quantity": pl.String}).with_row_index("_row")
    frame = frame.with_columns(
        pl.when(pl.col("_row").is_in(at[n::3].tolist()))
        .then(pl.lit(value))
        .otherwise(pl.col(column))
        .alias(column)
        for n, (column, value) in enumerate(bad)
    )
    truth = night.finish(files := write_csv(night.delivery, frame.drop("_row"), "csv"))
    faults = faulty_rows("malformed", night.delivery, files, at, night.ids(at))
    return _with(truth, faults, accepted=-len(at))


def deliver_not_json(night: Night) -> Truth:
    """Deliver JSON lines of which some are cut off and some are something else."""
    at = night.pick(night.share)
    frame = json_lines(_text(night)).to_frame("line").with_row_index("_row")
    cut = pl.col("_row").is_in(at[::2].tolist())
    foreign = pl.col("_row").is_in(at[1::2].tolist())
    lines = frame.select(
        pl.when(cut)
        .then(pl.col("line").str.slice(0, 50))
        .when(foreign)
        .then(pl.lit("<html>502 Bad Gateway</html>"))
        .otherwise("line")
        .alias("line")
    )
    truth = night.finish(files := write_lines(night.delivery, lines["line"], "jsonl"))
    faults = faulty_rows("not_json", night.delivery, files, at)
    return _with(truth, faults, accepted=-len(at))


def deliver_unknown_store(night: Night) -> Truth:
    """Deliver some rows under the name of a store that no registry lists."""
    at = night.pick(night.share)
    whole = table(night.sales, night.prices)
    store = np.zeros(whole.num_rows, np.int8)
    store[at] = 1
    names = pa.DictionaryArray.from_arrays(pa.array(store), [night.sales.store, "X999"])
    whole = whole.set_column(whole.schema.get_field_index("store"), "store", names)
    truth = night.finish(files := write_parquet(night.delivery, [whole]))
    faults = faulty_rows("unknown_store", night.delivery, files, at, night.ids(at))
    return _with(truth, faults, accepted=-len(at))


def deliver_outside(night: Night) -> Truth:
    """Deliver, after the day's own rows, some of the date before and some of the date after."""
    sales, delivery, share = night.sales, night.delivery, night.share
    late, early = (
        draw(
            sales.store,
            sales.day + timedelta(days=days),
            delivery.zone,
            share,
            night.rng,
            first=OUTSIDE_FIRST,
            dirt=False,
        )
        for days in (-1, 1)
    )
    parts = [table(part, night.prices) for part in (sales, late, early)]
    truth = night.finish(files := write_parquet(delivery, [pa.concat_tables(parts)]))
    at = np.arange(share) + len(sales.event)
    faults = pl.concat(
        faulty_rows(kind, delivery, files, at + skip, event_ids(part.store, part.day, part.event))
        for kind, part, skip in (("late", late, 0), ("early", early, share))
    )
    return _with(truth, faults, rows=2 * share)


def deliver_zero_rows(night: Night) -> Truth:
    """Deliver a readable file without rows, and a manifest that declares no count."""
    files = write_parquet(night.delivery, [table(night.sales, night.prices, 0, 0)])
    write_manifest(night.delivery, files, declared=False)
    return Truth(0, 0, faulty_files("zero_rows", night.delivery, [f.name for f in files]))


def deliver_nothing(night: Night) -> Truth:
    """Deliver nothing, not even a folder."""
    store = replace(night.delivery, name="")
    return Truth(0, 0, faulty_files("not_delivered", store, [""]))


def deliver_truncated(night: Night) -> Truth:
    """Deliver Parquet files cut to 60 % of their bytes."""
    files = write_parquet(night.delivery, tables(night.sales, night.prices))
    for file in files:
        path = night.delivery.folder / file.name
        os.truncate(path, path.stat().st_size * 6 // 10)
    write_manifest(night.delivery, files)
    return Truth(0, 0, faulty_files("truncated", night.delivery, [f.name for f in files]))


def deliver_wrong_count(night: Night) -> Truth:
    """Deliver good files and a manifest that counts seven rows too many."""
    files = write_parquet(night.delivery, tables(night.sales, night.prices))
    truth = truth_of(night.sales, night.delivery, files)
    write_manifest(night.delivery, [*files[:-1], replace(files[-1], rows=files[-1].rows + 7)])
    faults = faulty_files("wrong_count", night.delivery, ["manifest.json"])
    return _with(truth, faults, accepted=-truth.accepted)


def deliver_corrected(night: Night) -> Truth:
    """Deliver wrong prices, and three hours later a second delivery with the right ones."""
    wrong = night.prices.take(pa.array(np.arange(SKUS, -1, -1)))
    write_manifest(
        night.delivery, files := write_parquet(night.delivery, tables(night.sales, wrong))
    )
    second = replace(night.delivery, name="d2", delay=night.delivery.delay + timedelta(hours=3))
    truth = deliver_plain(replace(night, delivery=second))
    return _with(truth, faulty_files("corrected", night.delivery, [f.name for f in files]))


def deliver_extra_column(night: Night) -> Truth:
    """Deliver files with a column `till` that the feed does not declare."""
    parts = (
        part.append_column("till", pa.array(night.rng.integers(1, 13, part.num_rows, np.int32)))
        for part in tables(night.sales, night.prices)
    )
    truth = night.finish(files := write_parquet(night.delivery, parts))
    return _with(truth, faulty_files("extra_column", night.delivery, [f.name for f in files]))


def deliver_zero_quantity(night: Night) -> Truth:
    """Deliver files in which more rows have a quantity of 0 than the feed's suite tolerates."""
    at = night.pick(night.share)
    whole = table(night.sales, night.prices)
    place = whole.schema.get_field_index("quantity")
    quantity = whole.column(place).to_numpy().copy()
    quantity[at] = 0
    whole = whole.set_column(place, whole.schema.field(place), pa.array(quantity))
    truth = night.finish(files := write_parquet(night.delivery, [whole]))
    faults = faulty_rows("zero_quantity", night.delivery, files, at, night.ids(at))
    return _with(truth, faults, accepted=-truth.accepted)


FORMS: tuple[Deliver, ...] = (
    partial(deliver_csv, form="csv"),
    deliver_malformed,
    partial(deliver_csv, form="csv.gz"),
    partial(deliver_csv, form="csv.gz"),
    partial(deliver_json, form="jsonl"),
    deliver_not_json,
    partial(deliver_json, form="jsonl.zst"),
    partial(deliver_json, form="jsonl.zst"),
)
FAULTS: tuple[Deliver, ...] = (
    deliver_unknown_store,
    deliver_outside,
    deliver_zero_rows,
    deliver_nothing,
    deliver_truncated,
    deliver_wrong_count,
    deliver_corrected,
    deliver_extra_column,
    deliver_zero_quantity,
)


def choose(sizes: NDArray[np.int64], seed: int, day: date) -> dict[int, Deliver]:
    """Choose mid-size stores: those with other formats stay the same, the faults move nightly."""
    needed = len(FORMS) + len(FAULTS)
    if len(sizes) < needed + 1:
        raise ValueError(f"{len(sizes)} stores are too few for faults: give at least {needed + 1}")
    skipped = min(len(sizes) // 5, len(sizes) - needed)
    middle = np.argsort(-sizes, kind="stable")[skipped:][: max(needed, len(sizes) // 2)]
    steady = np.random.default_rng([seed, len(sizes)]).permutation(middle)
    nightly = np.random.default_rng([seed, day.toordinal()]).permutation(steady[len(FORMS) :])
    forms = zip(steady.tolist(), FORMS, strict=False)
    faults = zip(nightly.tolist(), FAULTS, strict=False)
    return {**dict(forms), **dict(faults)}


def _text(night: Night) -> pl.DataFrame:
    return as_text(table(night.sales, night.prices), night.delivery.zone)


def _with(truth: Truth, faults: pl.DataFrame, *, rows: int = 0, accepted: int = 0) -> Truth:
    """Return a truth with more faults, and with rows and accepted rows added to its own."""
    found = pl.concat([truth.faults, faults])
    return Truth(truth.rows + rows, truth.accepted + accepted, found)
