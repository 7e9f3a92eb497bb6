"""Propose a suite by profiling records that are published."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import polars as pl

from isopach.expectations.operands import kind_of
from isopach.feeds.feed import Feed
from isopach.feeds.suites import Expectation, Severity, Suite

FEW_VALUES = 20
ROWS_PER_VALUE = 50
DEVIATIONS = 3
LARGEST = 1e100
"""Bounds beyond say nothing, and their sums may be infinite."""


def propose(name: str, rows: pl.DataFrame | pl.LazyFrame, feed: Feed) -> Suite:
    """Propose a suite that records meet, for people to look at and correct.

    Of sensitive columns, and those made from them, it tells lengths and nulls alone. Critical is
    what held for all rows with room to spare; the rest are warnings.

    Args:
        rows: records of a feed, with `site` and `business_date` as the lake keeps them.
    """
    lazy = rows.lazy()
    present = lazy.collect_schema().names()
    columns = [column for column in feed.payload.names if column in present]
    hidden = sensitive(feed)
    facts = _profile(lazy, columns, hidden, feed)
    if not facts["rows"]:
        raise ValueError(f"suite {name}: no rows to profile")
    expectations = tuple(
        one for column in columns for one in _proposed(column, facts, column in hidden, feed)
    )
    if not expectations:
        raise ValueError(f"suite {name}: nothing can be proposed of {', '.join(columns)}")
    return Suite(name=name, expectations=expectations, meta={"grain": "window"})


def sensitive(feed: Feed) -> set[str]:
    """Return the columns that are sensitive, and those looked up or derived from them."""
    found = {name for name, column in feed.columns.items() if column.sensitive}
    for lookup in feed.lookups.values():
        if found & set(lookup.on):
            found |= set(lookup.columns)
    for name, expression in zip(feed.derive, feed.derivations, strict=True):
        if found & set(expression.meta.root_names()):
            found.add(name)
    return found


def _profile(
    rows: pl.LazyFrame, columns: list[str], hidden: set[str], feed: Feed
) -> dict[str, Any]:
    """Return figures of all columns, in one pass over the rows."""
    figures = {
        f"{column}.{figure}": expression
        for column in columns
        for figure, expression in _figures(column, column in hidden, feed).items()
    }
    several = [rows.select(pl.len().alias("rows"), **figures)]
    means = [column for column in columns if f"{column}.mean" in figures]
    if means and {"site", "business_date"} <= set(rows.collect_schema().names()):
        days = rows.group_by("site", "business_date").agg(_values(c, feed).mean() for c in means)
        several.append(days.select(pl.col(c).std().alias(f"{c}.std") for c in means))
    return {
        name: value
        for frame in pl.collect_all(several)
        for name, value in frame.row(0, named=True).items()
    }


def _values(column: str, feed: Feed) -> pl.Expr:
    kind = kind_of(column, feed.payload)
    if kind == "number":  # as Great Expectations is given decimals; NaN is missing there
        return pl.col(column).cast(pl.Float64).fill_nan(None)
    return pl.col(column).cast(pl.String) if kind == "text" else pl.col(column)


def _figures(column: str, hidden: bool, feed: Feed) -> dict[str, pl.Expr]:
    kind, values = kind_of(column, feed.payload), _values(column, feed)
    found = {"nulls": values.null_count()}
    if kind == "text":
        found |= {"shortest": values.str.len_chars().min(), "longest": values.str.len_chars().max()}
    if hidden:
        return found
    if kind == "text" and column != feed.site:
        counts = values.drop_nulls().value_counts()
        found |= {
            "values": values.drop_nulls().unique().sort().head(FEW_VALUES + 1).implode(),
            "rarest": counts.struct.field("count").min(),
        }
    if kind in ("integer", "number"):
        found |= {"low": values.min(), "high": values.max(), "mean": values.mean()}
    return found


def _proposed(
    column: str, facts: Mapping[str, Any], hidden: bool, feed: Feed
) -> Iterator[Expectation]:
    of = {name[len(column) + 1 :]: v for name, v in facts.items() if name.startswith(f"{column}.")}
    meta = {"may_be_empty": True} if of["nulls"] else {}
    declared = feed.columns.get(column)
    if not of["nulls"] and not (declared and declared.required):
        yield _one("expect_column_values_to_not_be_null", column, {}, "warning", meta)
    if of["nulls"] == facts["rows"]:
        return
    if "shortest" in of:
        yield _lengths(column, of, meta)
    if "values" in of and len(of["values"]) <= FEW_VALUES and of["rarest"] >= ROWS_PER_VALUE:
        kwargs = {"value_set": list(of["values"])}
        yield _one("expect_column_values_to_be_in_set", column, kwargs, "warning", meta)
    if "low" in of and max(abs(of["low"]), abs(of["high"])) < LARGEST:
        yield _between(column, of, meta)
        if of.get("std") is not None and math.isfinite(of["std"]):
            yield _mean(column, of, meta)


def _one(
    kind: str, column: str, kwargs: dict[str, Any], severity: Severity, meta: dict[str, Any]
) -> Expectation:
    return Expectation(type=kind, kwargs={"column": column} | kwargs, severity=severity, meta=meta)


def _lengths(column: str, of: dict[str, Any], meta: dict[str, Any]) -> Expectation:
    """Expect lengths with room, or the one length that all texts have."""
    low, high = of["shortest"], of["longest"]
    severity: Severity = "warning"
    if low < high:
        low, high, severity = low // 2, high * 2, "critical"
    kwargs = {"min_value": low, "max_value": high}
    return _one("expect_column_value_lengths_to_be_between", column, kwargs, severity, meta)


def _between(column: str, of: dict[str, Any], meta: dict[str, Any]) -> Expectation:
    low, high = outward(of["low"], ROUND_FLOOR), outward(of["high"], ROUND_CEILING)
    roomy = low < of["low"] and high > of["high"]
    kwargs = {"min_value": low, "max_value": high}
    severity: Severity = "critical" if roomy else "warning"
    return _one("expect_column_values_to_be_between", column, kwargs, severity, meta)


def _mean(column: str, of: dict[str, Any], meta: dict[str, Any]) -> Expectation:
    room = DEVIATIONS * of["std"]
    kwargs = {
        "min_value": outward(of["mean"] - room, ROUND_FLOOR),
        "max_value": outward(of["mean"] + room, ROUND_CEILING),
    }
    meta = meta | {"grain": "run"}
    return _one("expect_column_mean_to_be_between", column, kwargs, "warning", meta)


def outward(value: int | float, rounding: str) -> int | float:
    """Round a bound up or down to two digits, away from what lies within; 0 stays 0."""
    exact = Decimal(value)
    if exact.is_zero():
        return 0
    unit = Decimal(1).scaleb(exact.adjusted() - 1)
    rounded = (exact / unit).to_integral_value(rounding=rounding) * unit
    whole = rounded == rounded.to_integral_value() and abs(rounded) < 2**53
    return int(rounded) if whole else float(rounded)
