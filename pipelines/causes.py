"""Causes: why a record differs, from what else was read, with what was looked up to say so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from isopach.feeds.columns import MASK
from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.files import DataFile
from isopach.lake.places import Place
from isopach.lake.replace import read_file
from isopach.pipelines.findings import Finding
from isopach.pipelines.provisional import WINDOW
from isopach.transforms.compare import CHANGED, EXTRA, MISSING, REPEATED
from isopach.transforms.quarantine import LATE, REJECTED

LOST, NEVER_SENT, DUPLICATE = "lost", "never_sent", "duplicate"
NOT_IN_DELIVERY, VALUE_CHANGED = "not_in_delivery", "value_changed"
SCHEMA, CODE_VERSION, UNEXPLAINED = "schema", "code_version", "unexplained"
FEWEST_CHARACTERS = 8
"""Keys with fewer are not searched for in messages that could not be read."""

ASIDE = [
    "site",
    "row_date",
    "key",
    "disposition",
    "reason",
    "column",
    "raw",
    "_source",
    "_position",
]
DECIDING = ("columns", "derive", "lookups", "hook")
"""Parts of a declaration that a row's values follow from."""


@dataclass(frozen=True)
class Seen:
    """What is known beside the records: rows set aside on each side, and the runs.

    `lost` has the windows whose rows are not those that were counted when they landed, and what is
    wrong (`said`).
    """

    stream: pl.DataFrame
    batch: pl.DataFrame
    versions: Mapping[str, str]
    declarations: Mapping[str, str]
    lost: pl.DataFrame


def look(
    lake: Place,
    feed: Feed,
    staged: Iterable[DataFile],
    days: Iterable[date],
    findings: Iterable[Finding],
) -> Seen:
    """Return what the lake knows that may explain differences on some business dates.

    Of rows set aside whose date or site could not be read all are looked at: some thousandths of a
    stream, which bounds the memory.
    """
    table = tables.quarantine(feed.feed)
    dates = list(days)
    near = pl.col("row_date").is_in(dates) | pl.col("row_date").is_null() | pl.col("site").is_null()
    kinds = pl.col("disposition").is_in([LATE, REJECTED])
    still = pl.col("replayed_run").is_null()
    stored = scan(lake, table).filter(near, kinds, still)
    stream, batch = (
        stored.filter(pl.col("_mode") == mode).select(ASIDE).collect()
        for mode in ("stream", "batch")
    )
    fresh = [read_file(lake, table, file, ASIDE).filter(kinds) for file in staged]
    runs = scan(lake, tables.RUNS).filter(pl.col("feed") == feed.feed)
    known = runs.select("run", "code_version", "parameters").collect()
    declarations = {
        run: json.dumps({name: declared.get(name) for name in DECIDING}, sort_keys=True)
        for run, text in known.select("run", "parameters").iter_rows()
        if (declared := json.loads(text).get("feed"))
    }
    return Seen(
        stream,
        pl.concat([*fresh, batch]),
        dict(known.select("run", "code_version").iter_rows()),
        declarations,
        pl.DataFrame(
            [(one.site, one.business_date, one.message) for one in findings],
            schema={"site": pl.String, "business_date": pl.Date, "said": pl.String},
            orient="row",
        ).unique(WINDOW, keep="first"),
    )


def explained(found: pl.DataFrame, seen: Seen, feed: Feed) -> pl.DataFrame:
    """Return differences with `cause` and `evidence`, their keys masked where sensitive."""
    kinds = {kind: found.filter(pl.col("kind") == kind) for kind in (MISSING, EXTRA, CHANGED)}
    parts = [
        _missing(kinds[MISSING], seen, feed),
        _extra(kinds[EXTRA], seen, feed),
        _changed(kinds[CHANGED], seen),
        _said(
            found.filter(pl.col("kind") == REPEATED),
            DUPLICATE,
            "the same key stands at another position of the same side",
        ),
    ]
    rows = pl.concat(parts).sort("site", "business_date", "kind", "cause", "key")
    if not any(name in feed.columns and feed.columns[name].sensitive for name in feed.key):
        return rows
    return rows.with_columns(key=pl.lit(MASK))


def _said(rows: pl.DataFrame, cause: str, evidence: str) -> pl.DataFrame:
    return rows.with_columns(cause=pl.lit(cause), evidence=pl.lit(evidence))


def _missing(rows: pl.DataFrame, seen: Seen, feed: Feed) -> pl.DataFrame:
    """Explain records that the night has and the stream has not."""
    known, rest = _set_aside(rows, seen.stream, "rejected_in_stream", "the stream")
    mentioned, rest = _mentioned(rest, seen.stream, "rejected_in_stream", "the stream", feed)
    text = f"no event with this key was read: records do not have it, nor {_others(seen.stream)}"
    lost = pl.col("said").is_not_null()
    others = rest.join(seen.lost, on=WINDOW, how="left").select(
        *rest.columns,
        cause=pl.when(lost).then(pl.lit(LOST)).otherwise(pl.lit(NEVER_SENT)),
        evidence=pl.coalesce("said", pl.lit(text)),
    )
    return pl.concat([known, mentioned, others])


def _extra(rows: pl.DataFrame, seen: Seen, feed: Feed) -> pl.DataFrame:
    """Explain records that the stream has and the night has not."""
    known, rest = _set_aside(rows, seen.batch, "rejected_in_batch", "the night")
    mentioned, rest = _mentioned(rest, seen.batch, "rejected_in_batch", "the night", feed)
    text = f"no row with this key was delivered: none was accepted, nor {_others(seen.batch)}"
    return pl.concat([known, mentioned, _said(rest, NOT_IN_DELIVERY, text)])


def _others(aside: pl.DataFrame) -> str:
    """Say among which rows set aside a key was looked for."""
    unread = aside.filter(pl.col("key").is_null()).height
    text = f"is it among {aside.height - unread:,} rows set aside"
    return f"{text}, or in {unread:,} more without a key that can be read" if unread else text


def _set_aside(
    rows: pl.DataFrame, aside: pl.DataFrame, rejected: str, side: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split differences into those whose key was set aside, explained, and the others."""
    rows = rows.with_row_index("_row")
    keyed = aside.filter(pl.col("key").is_not_null()).rename({"site": "its_site"}).drop("raw")
    same = rows.select("_row", "site", "business_date", "key").join(keyed, on="key")
    own = (pl.col("its_site") == pl.col("site")).fill_null(True)
    dated = (pl.col("row_date") == pl.col("business_date")).fill_null(True)
    matches = (
        same.filter(own, dated)
        .sort("_row", pl.col("row_date").is_null(), "_source", "_position")
        .unique("_row", keep="first", maintain_order=True)
        .select(
            "_row",
            cause=pl.when(pl.col("disposition") == LATE)
            .then(pl.lit(LATE))
            .otherwise(pl.lit(rejected)),
            evidence=pl.concat_str(
                pl.lit(f"{side} set it aside as "),
                pl.col("disposition"),
                pl.lit(", "),
                pl.col("reason"),
                pl.when(pl.col("column").is_not_null())
                .then(pl.concat_str(pl.lit(" in "), pl.col("column")))
                .otherwise(pl.lit("")),
                pl.lit(": "),
                pl.col("_source"),
                pl.lit(" position "),
                pl.col("_position"),
            ),
        )
    )
    explained_rows = rows.join(matches, on="_row", how="inner").drop("_row")
    return explained_rows, rows.join(matches, on="_row", how="anti").drop("_row")


def _mentioned(
    rows: pl.DataFrame, aside: pl.DataFrame, rejected: str, side: str, feed: Feed
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split off differences whose key stands in something that could not be read."""
    unread = aside.filter(pl.col("key").is_null(), pl.col("raw").is_not_null())
    texts = [name for name in feed.key if feed.columns[name].type == "string"]
    nothing = _said(rows.clear(), REJECTED, "")
    if rows.is_empty() or unread.is_empty() or not texts:
        return nothing, rows
    path = (
        pl.col("key") if len(feed.key) == 1 else pl.col("key").str.json_path_match(f"$.{texts[0]}")
    )
    rows = rows.with_row_index("_row").with_columns(_needle=path)
    needles = rows.filter(pl.col("_needle").str.len_chars() >= FEWEST_CHARACTERS)["_needle"]
    if needles.is_empty():
        return nothing, rows.drop("_row", "_needle")
    hits = (
        unread.select("raw", "reason", "_source", "_position")
        .with_columns(_needle=pl.col("raw").str.extract_many(needles.unique().to_list()))
        .explode("_needle")
        .drop_nulls("_needle")
    )
    whole = rows.select("_row", "_needle", "key").join(hits, on="_needle")
    for name in feed.key if len(feed.key) > 1 else ():
        part = pl.col("key").str.json_path_match(f"$.{name}")
        whole = whole.filter(pl.col("raw").str.contains(part, literal=True))
    matches = (
        whole.sort("_row", "_source", "_position")
        .unique("_row", keep="first", maintain_order=True)
        .select(
            "_row",
            cause=pl.lit(rejected),
            evidence=pl.format(
                f"the key stands in what {side} rejected as {{}}: {{}} position {{}}",
                "reason",
                "_source",
                "_position",
            ),
        )
    )
    found = rows.join(matches, on="_row", how="inner").drop("_row", "_needle")
    return found, rows.join(matches, on="_row", how="anti").drop("_row", "_needle")


def _changed(rows: pl.DataFrame, seen: Seen) -> pl.DataFrame:
    """Explain records whose values differ, by the declarations and versions of both runs."""
    pairs = rows.select("stream_run", "batch_run").unique()
    said = [_of_runs(stream, batch, seen) for stream, batch in pairs.iter_rows()]
    reasons = pl.DataFrame(said, schema={"cause": pl.String, "evidence": pl.String}, orient="row")
    return rows.join(
        pairs.hstack(reasons), on=["stream_run", "batch_run"], how="left", nulls_equal=True
    )


def _of_runs(stream: str, batch: str, seen: Seen) -> tuple[str, str]:
    ours, theirs = (seen.declarations.get(run) for run in (stream, batch))
    if ours and theirs and ours != theirs:
        return SCHEMA, f"the feed was declared otherwise in run {stream} than in run {batch}"
    old, new = (seen.versions.get(run) for run in (stream, batch))
    if old and new and old != new:
        return CODE_VERSION, f"run {stream} was of isopach {old}, run {batch} of {new}"
    return VALUE_CHANGED, f"both were accepted, by the same rules, in runs {stream} and {batch}"
