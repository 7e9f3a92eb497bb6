"""Declared, read by batch, read by the stream: one row for each window, and whether it adds up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from isopach.jobs.queries import WINDOW, chosen
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.lake.windows import SETTLED
from isopach.pipelines.verify_replays import with_replays
from isopach.transforms.compare import EXTRA, MISSING, REPEATED

FIGURES = ["read", "accepted", "rejected", "late", "duplicate"]
ASIDE = FIGURES[2:]
RUN = [*WINDOW, "run"]
NOT_COMPARED = "not compared"


def three_way(
    lake: Place, feed: str, day: date | None, sites: Sequence[str] | None
) -> pl.DataFrame:
    """Return what sites declared, what batch read and what the stream read, by window.

    Batch is the run that a window rests on: the one that settled it, or else the last that held
    it. Rows of a stream whose window is not known have a row too, without state.

    `adds_up` is true where what was declared was read, each side's rows are accounted for, and
    both sides accepted as many rows; null where nothing was delivered yet. `gaps` says by how much
    it does not. `explained` is how many rows more the stream has by the differences that were
    recorded when it was compared (fewer: negative), and `unexplained` what these leave: 0 where
    the ledger explains it all, null where nothing was compared.
    """
    some = chosen(day, sites) & (pl.col("feed") == feed)
    windows = scan(lake, tables.WINDOWS).filter(some).collect()
    counts = scan(lake, tables.COUNTS).filter(some).collect().sort("run")
    causes = _causes(scan(lake, tables.DIFFERENCES).filter(some)).collect()
    states = windows.select(
        *WINDOW, "state", "reason", "rows", "kept", run=pl.coalesce("settled_by", "run")
    )
    nights = counts.filter(pl.col("replay_of").is_null(), mode="batch")
    batch = with_replays(counts).filter(mode="batch")
    batch = batch.select(*RUN, "declared", "delivery", *_named("batch_"))
    stream = counts.filter(mode="stream").group_by(WINDOW).agg(pl.col(FIGURES).sum())
    stream = stream.select(*WINDOW, *_named("stream_"))
    rows = (
        states.join(batch, on=RUN, how="left")
        .join(stream, on=WINDOW, how="full", coalesce=True, nulls_equal=True)
        .join(_compared(nights, causes), on=WINDOW, how="left")
    )
    return _judged(rows).sort("business_date", "site", nulls_last=True)


def _named(prefix: str) -> list[pl.Expr]:
    return [pl.col(name).alias(f"{prefix}{name}") for name in FIGURES]


def _causes(differences: pl.LazyFrame) -> pl.LazyFrame:
    """Return what runs recorded of each window: rows the stream has more by it, and the causes."""
    kind, streams = pl.col("kind"), pl.col("stream_source").is_not_null()
    more = (
        pl.when((kind == EXTRA) | ((kind == REPEATED) & streams))
        .then(1)
        .when(kind.is_in([MISSING, REPEATED]))
        .then(-1)
        .otherwise(0)
    )
    counted = (
        differences.select(*RUN, "cause", more=more)
        .group_by(*RUN, "cause", "more")
        .agg(count=pl.len().cast(pl.Int64))
        .sort("count", "cause", descending=[True, False])
    )
    signed = pl.col("count") * pl.col("more")
    said = pl.when(signed == 0).then(_number(pl.col("count"))).otherwise(_change(signed))
    return counted.group_by(RUN).agg(
        explained=signed.sum(), causes=pl.format("{} {}", said, "cause").str.join(", ")
    )


def _compared(nights: pl.DataFrame, causes: pl.DataFrame) -> pl.DataFrame:
    """Return by window which run compared it last, what both sides had then, and the causes.

    Ledgers of older versions know only of runs that found differences.
    """
    by_run = nights.join(causes, on=RUN, how="left")
    known = pl.col("streamed").is_not_null() | pl.col("causes").is_not_null()
    last = by_run.filter(known).group_by(WINDOW, maintain_order=True).last()
    return last.select(
        *WINDOW,
        "streamed",
        "causes",
        delivered="accepted",
        compared_by="run",
        explained=pl.col("explained").fill_null(0),
    )


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    """Add whether rows add up, and by how much they do not."""
    delivered, compared = pl.col("delivery").is_not_null(), pl.col("compared_by").is_not_null()
    none = pl.when(compared & delivered).then(0)  # compared with a stream that had no rows
    of_night = pl.col("rows") - pl.col("kept").fill_null(0)
    rows = rows.with_columns(
        *(pl.when(delivered).then(f"batch_{name}").alias(f"batch_{name}") for name in FIGURES),
        *(pl.col(f"stream_{name}").fill_null(none) for name in FIGURES),
        settled=pl.when(pl.col("state") == SETTLED).then(of_night),
        streamed=pl.coalesce("streamed", "stream_accepted", none),
    )
    then = pl.col("streamed") - pl.col("delivered")
    rows = rows.with_columns(
        unexplained=then - pl.col("explained"),
        delivered_since=pl.col("delivered") - pl.col("batch_accepted"),
        streamed_since=pl.col("stream_accepted") - pl.col("streamed"),
    )
    gaps = pl.concat_str(_gaps(), separator="; ", ignore_nulls=True)
    wrong = gaps != ""
    return rows.select(
        *(*WINDOW, "state", "reason", "rows", "declared"),
        *(f"{mode}_{name}" for mode in ("batch", "stream") for name in FIGURES),
        pl.when(~wrong & delivered).then(True).when(wrong).then(False).alias("adds_up"),
        pl.when(wrong).then(gaps).alias("gaps"),
        *("explained", "unexplained", "causes"),
    )


def _gaps() -> list[pl.Expr]:
    """Return what does not add up; null where it does."""
    ours, theirs = pl.col("stream_accepted"), pl.col("batch_accepted")
    parts = {m: pl.sum_horizontal(f"{m}_{n}" for n in FIGURES[1:]) for m in ("batch", "stream")}
    both = "stream accepted {}, batch {} ({}): {}"
    return [
        _gap("declared {}, batch read {} ({})", pl.col("declared"), pl.col("batch_read")),
        *(
            _gap(f"{mode} read {{}}, accounted for {{}} ({{}})", pl.col(f"{mode}_read"), sum_)
            for mode, sum_ in parts.items()
        ),
        _gap("batch accepted {}, settled {} ({})", theirs, pl.col("settled")),
        pl.when((ours != theirs) | (pl.col("unexplained") != 0)).then(
            pl.format(both, _number(ours), _number(theirs), _change(ours - theirs), _why())
        ),
    ]


def _gap(text: str, wanted: pl.Expr, found: pl.Expr) -> pl.Expr:
    said = pl.format(text, _number(wanted), _number(found), _change(found - wanted))
    return pl.when(wanted != found).then(said)


def _why() -> pl.Expr:
    """Say what makes the stream have more rows or fewer, as far as the ledger knows."""
    rest = {
        "delivered since": pl.col("delivered_since"),
        "streamed since": pl.col("streamed_since"),
        "not explained": pl.col("unexplained"),
    }
    changes = [
        pl.when(rows != 0).then(pl.format(f"{{}} {name}", _change(rows)))
        for name, rows in rest.items()
    ]
    known = pl.concat_str(pl.col("causes"), *changes, separator=", ", ignore_nulls=True)
    return pl.when(pl.col("compared_by").is_null()).then(pl.lit(NOT_COMPARED)).otherwise(known)


def _number(rows: pl.Expr) -> pl.Expr:
    """Write a number with commas between thousands."""
    backwards = rows.abs().cast(pl.String).str.reverse().str.replace_all(r"(\d{3})", "$1,")
    digits = backwards.str.strip_chars_end(",").str.reverse()
    return pl.when(rows < 0).then(pl.format("-{}", digits)).otherwise(digits)


def _change(rows: pl.Expr) -> pl.Expr:
    """Write a number with its sign."""
    return pl.when(rows > 0).then(pl.format("+{}", _number(rows))).otherwise(_number(rows))
