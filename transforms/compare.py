"""Compare what a stream and a night hold of the same windows, record by record.

Rows whose keys and other columns have equal hashes on both sides, three of 64 bits, are the same
and are not looked at again; keys and columns themselves decide on the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from isopach.feeds.columns import MASK
from isopach.feeds.feed import Feed
from isopach.transforms.batches import frame
from isopach.transforms.checksum import row_hashes
from isopach.transforms.keys import WINDOW
from isopach.transforms.quarantine import key_text
from isopach.transforms.unique import repeated_rows, without

MISSING, EXTRA, CHANGED, REPEATED = "missing", "extra", "changed", "repeated"
"""As seen from the stream: the night alone has it, the stream alone, both; one side twice."""

ORIGIN = ["_source", "_position", "_run"]

DIFFERENCE = pl.Schema(
    {
        "site": pl.String,
        "business_date": pl.Date,
        "key": pl.String,
        "kind": pl.String,
        "columns": pl.String,  # names, with commas between
        "stream": pl.String,  # JSON: values there, sensitive ones masked
        "batch": pl.String,
        "stream_source": pl.String,
        "stream_position": pl.Int64,
        "stream_run": pl.String,
        "batch_source": pl.String,
        "batch_position": pl.Int64,
        "batch_run": pl.String,
    }
)


def compared_columns(feed: Feed) -> list[str]:
    """Return the payload's columns in which both sides should agree."""
    return [name for name in feed.payload.names if name not in feed.reconcile.ignore]


def compare(stream: pa.Table, batch: pa.Table, feed: Feed) -> pl.DataFrame:
    """Return one row of DIFFERENCE for each record that differs.

    Args:
        stream, batch: rows of the same windows with the payload, `site`, `business_date`,
            `_source`, `_position`, `_run` and `_key`, the stable hash of window and key.
    """
    names = compared_columns(feed)
    sides = {"stream": stream, "batch": batch}
    again = {side: repeated_rows(rows, feed.key) for side, rows in sides.items()}
    twice = [
        _alone(frame(rows.take(pa.array(again[side]))), REPEATED, side, feed)
        for side, rows in sides.items()
    ]
    left, right = (without(rows, again[side]) for side, rows in sides.items())
    left, right = _unequal(left, right, names)
    key = list(dict.fromkeys([*WINDOW, *feed.key]))
    ours, theirs = frame(left), frame(right)
    both = ours.join(theirs, on=key, how="inner", suffix="/batch", nulls_equal=True)
    missing = theirs.join(ours, on=key, how="anti", nulls_equal=True)
    extra = ours.join(theirs, on=key, how="anti", nulls_equal=True)
    found = [
        _alone(missing, MISSING, "batch", feed),
        _alone(extra, EXTRA, "stream", feed),
        _changed(both, [name for name in names if name not in key], feed),
    ]
    return pl.concat([*found, *twice])


def _unequal(left: pa.Table, right: pa.Table, names: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """Return the rows of each side that are not on the other just as they are."""
    hashes = [_hashes(rows, names) for rows in (left, right)]
    on = ["key", "first", "second"]
    result = []
    for rows, mine, other in ((left, hashes[0], hashes[1]), (right, hashes[1], hashes[0])):
        odd = mine.with_row_index("_row").join(other, on=on, how="anti")["_row"].sort()
        result.append(rows.take(odd.to_arrow()))
    return result[0], result[1]


def _hashes(rows: pa.Table, names: Sequence[str]) -> pl.DataFrame:
    first, second = row_hashes(rows, names, seeds=2)
    return pl.DataFrame({"key": rows.column("_key").to_numpy(), "first": first, "second": second})


def _alone(rows: pl.DataFrame, kind: str, side: str, feed: Feed) -> pl.DataFrame:
    """Return rows that one side has and the other has not."""
    values = [_value(name, name, feed) for name in feed.payload.names]
    return _described(rows, kind, feed, **{side: _object(values)}, **_origin(side))


def _changed(both: pl.DataFrame, names: Sequence[str], feed: Feed) -> pl.DataFrame:
    """Return rows whose columns differ, with these columns' values on both sides."""
    differs = {name: pl.col(name).ne_missing(pl.col(f"{name}/batch")) for name in names}
    rows = both.filter(pl.any_horizontal(pl.lit(False), *differs.values()))
    said = [pl.when(flag).then(pl.lit(name)) for name, flag in differs.items()]
    stream = [pl.when(flag).then(_value(name, name, feed)) for name, flag in differs.items()]
    batch = [
        pl.when(flag).then(_value(name, f"{name}/batch", feed)) for name, flag in differs.items()
    ]
    return _described(
        rows,
        CHANGED,
        feed,
        columns=_joined(said),
        stream=_object(stream),
        batch=_object(batch),
        **_origin("stream"),
        **_origin("batch", "/batch"),
    )


def _described(rows: pl.DataFrame, kind: str, feed: Feed, **given: pl.Expr) -> pl.DataFrame:
    given = {
        "site": pl.col("site"),
        "business_date": pl.col("business_date"),
        "key": key_text(feed.key),
        "kind": pl.lit(kind),
        **given,
    }
    columns = [given.get(name, pl.lit(None)).alias(name) for name in DIFFERENCE]
    return rows.select(columns).cast(DIFFERENCE)


def _origin(side: str, suffix: str = "") -> dict[str, pl.Expr]:
    return {f"{side}{name}": pl.col(f"{name}{suffix}") for name in ORIGIN}


def _value(name: str, column: str, feed: Feed) -> pl.Expr:
    """Return a column as a field of a JSON object."""
    declared = feed.columns.get(name)
    value = pl.col(column).alias(name)
    if declared is not None and declared.sensitive:
        value = pl.when(pl.col(column).is_not_null()).then(pl.lit(MASK)).alias(name)
    text = pl.struct(value).struct.json_encode()
    return text.str.head(-1).str.slice(1)


def _object(fields: Sequence[pl.Expr]) -> pl.Expr:
    return pl.concat_str(pl.lit("{"), _joined(fields), pl.lit("}"))


def _joined(texts: Sequence[pl.Expr]) -> pl.Expr:
    return pl.concat_str(texts, separator=",", ignore_nulls=True) if texts else pl.lit("")
