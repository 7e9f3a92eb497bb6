"""Decode JSON lines: their fields as text, with nothing rounded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from decimal import Decimal
from math import isinf
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from isopach.feeds.feed import Feed
from isopach.transforms.prepare import META

NOT_JSON = "not_json"
LONG = "|".join(rf"\d{{{whole}}}\.\d{{{16 - whole},}}" for whole in range(1, 16))
LONG = rf"-?(?:{LONG}|\d{{16,}}(?:\.\d|[eE]))"
"""A number of more digits than a float holds."""
SURROGATE = r"\\u[dD][89a-fA-F]"
ESCAPE = r"\u"
MANY_DIGITS = r":\s*-?\d[\d.]{14}"
"""What each line with a long number in a field has, and is sooner looked for than that."""
PROBED_LINES = 200
DECODED_LINES = 1 << 14
"""Lines that are decoded together: what these take is still in the cache when it is freed."""


class Others(NamedTuple):
    """Fields that a feed does not declare; `nested` are those that hold objects or lists."""

    flat: list[str]
    nested: list[str]


def decode_json(lines: pl.Series, feed: Feed) -> Iterator[pa.RecordBatch]:
    """Yield the fields of JSON lines as text, with the line as `_raw`.

    What is nested in a field is JSON text; a line that is not a JSON object has an `_error`.
    """
    others = _other_fields(lines, feed)
    values = _decoded(lines, [*feed.columns, *others.flat], _inexact(feed))
    error = pl.select(pl.when(values.is_null()).then(pl.lit(NOT_JSON)).alias("_error"))
    nested = [lines.str.json_path_match(f'$["{name}"]').alias(name) for name in others.nested]
    rows = values.struct.unnest().with_columns(*nested, error.to_series(), lines.alias("_raw"))
    yield from rows.to_arrow().combine_chunks().to_batches()


def _other_fields(lines: pl.Series, feed: Feed) -> Others:
    """Return fields that the feed does not declare.

    Where they are only counted, the first lines of a block tell; where they are a reason to
    reject, all do.
    """
    some = lines if feed.extra_columns == "reject" else lines.head(PROBED_LINES)
    found: dict[str, bool] = {}
    for line in some:
        with suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict) and "".join(row).encode():
                for name, value in row.items():
                    found[name] = found.get(name, False) or isinstance(value, dict | list)
    others = sorted(found.keys() - feed.columns.keys() - set(META))
    nested = [name for name in others if found[name] and re.fullmatch(r"[\w .:/-]+", name)]
    return Others([name for name in others if name not in nested], nested)


def _inexact(feed: Feed) -> str:
    """Return the pattern of lines that Polars would decode to other values than were sent."""
    exact = [name for name, column in feed.columns.items() if column.type != "float64"]
    return rf'"(?:{"|".join(exact)})"\s*:\s*{LONG}|{SURROGATE}'


def _decoded(lines: pl.Series, names: list[str], inexact: str) -> pl.Series:
    """Decode lines all at once where Polars can, and the others one by one; null is no object."""
    fields = pl.Struct(dict.fromkeys(names, pl.String))
    quick = ~_contains(lines, inexact)
    values = _at_once(lines.filter(quick), fields)
    if values is None:
        quick &= lines.str.json_path_match("$").str.starts_with("{").fill_null(False)
        values = _at_once(lines.filter(quick), fields)
    if values is None:
        quick, values = quick & False, pl.Series([], dtype=fields)
    if quick.all():
        return values
    alone = pl.Series([decoded(line, names) for line in lines.filter(~quick)], dtype=fields)
    order = np.argsort(~quick.to_numpy(), kind="stable")
    return pl.concat([values, alone]).gather(np.argsort(order))


def _contains(lines: pl.Series, inexact: str) -> pl.Series:
    """Tell which lines have a pattern of `_inexact`; few are looked through for all of it."""
    suspect = lines.str.contains(MANY_DIGITS) | lines.str.contains(ESCAPE, literal=True)
    if suspect.any():
        suspect[suspect.arg_true()] = lines.filter(suspect).str.contains(inexact)
    return suspect


def _at_once(lines: pl.Series, fields: pl.Struct) -> pl.Series | None:
    some = [lines[at : at + DECODED_LINES] for at in range(0, len(lines), DECODED_LINES)] or [lines]
    try:
        values = [part.str.json_decode(fields) for part in some]
    except pl.exceptions.ComputeError:
        return None
    if any(len(found) != len(part) for found, part in zip(values, some, strict=True)):
        return None  # Polars joins lines before it parses
    return pl.concat(values)


def decoded(line: str, fields: Iterable[str]) -> dict[str, str | None] | None:
    """Return fields of a JSON object as text; None if the line is anything else."""
    try:
        found = json.loads(
            line, parse_float=_number, parse_constant=_number, object_pairs_hook=_first_of_each
        )
        values = {name: _text(found.get(name)) for name in fields}
        "".join(filter(None, values.values())).encode()  # half a surrogate pair cannot be
    except (ValueError, ArithmeticError, RecursionError, AttributeError):
        return None
    return values


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    first: dict[str, Any] = {}
    for name, value in pairs:
        first.setdefault(name, value)
    return first


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if isinf(float(value)) or value.is_nan() or value.adjusted() < -400:
        raise ValueError(f"{text}: no number that a column can hold")
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float)
