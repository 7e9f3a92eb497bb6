"""Causes: why a record differs, from what else was read, with what was looked up to say so."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from isopach.feeds.columns import MASK
from isopach.feeds.feed import Feed
from isopach.pipelines.provisional import WINDOW
from isopach.pipelines.seen import Seen
from isopach.transforms.compare import CHANGED, EXTRA, MISSING, REPEATED
from isopach.transforms.quarantine import LATE, REJECTED

LOST, NEVER_SENT, DUPLICATE = "lost", "never_sent", "duplicate"
NOT_IN_DELIVERY, VALUE_CHANGED = "not_in_delivery", "value_changed"
SCHEMA, CODE_VERSION, UNEXPLAINED = "schema", "code_version", "unexplained"
FEWEST_CHARACTERS = 8
"""Keys with fewer are not searched for in messages that could not be read."""

REFUSED = "rejected_in_stream"
Explain = Callable[[pl.DataFrame], pl.DataFrame]
Split = tuple[pl.DataFrame, pl.DataFrame]


def explained(found: pl.DataFrame, seen: Seen, feed: Feed) -> pl.DataFrame:
    """Return differences with `cause` and `evidence`, their keys masked where sensitive."""
    return _explained(
        found,
        lambda rows: _missing(rows, seen, feed),
        lambda rows: _extra(rows, seen, feed),
        seen,
        feed,
    )


def corrected(found: pl.DataFrame, seen: Seen, feed: Feed) -> pl.DataFrame:
    """Return how a settled date differs from what was read anew, explained; see `explained`."""

    def known(rows: pl.DataFrame, aside: pl.DataFrame, side: str) -> Split:
        return _set_aside(rows, aside, "rejected_in_batch", side)

    def text(aside: pl.DataFrame, side: str) -> str:
        return f"{side} did not have it: no row with this key was accepted, nor {_others(aside)}"

    def missing(rows: pl.DataFrame) -> pl.DataFrame:
        side = "the night that settled the date"
        before, rest = known(rows, seen.stream, side)
        return pl.concat([before, _lost_or(rest, seen, NOT_IN_DELIVERY, text(seen.stream, side))])

    def extra(rows: pl.DataFrame) -> pl.DataFrame:
        side = "what was read now"
        fresh, rest = known(rows, seen.batch, side)
        return pl.concat([fresh, _said(rest, NOT_IN_DELIVERY, text(seen.batch, side))])

    return _explained(found, missing, extra, seen, feed)


def _explained(
    found: pl.DataFrame, missing: Explain, extra: Explain, seen: Seen, feed: Feed
) -> pl.DataFrame:
    kinds = {kind: found.filter(pl.col("kind") == kind) for kind in (MISSING, EXTRA, CHANGED)}
    parts = [
        missing(kinds[MISSING]),
        extra(kinds[EXTRA]),
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
    read, rest = _read_by_stream(rows, seen)
    known, rest = _set_aside(rest, seen.stream, REFUSED, "the stream")
    mentioned, rest = _mentioned(rest, seen.stream, REFUSED, "the stream", feed)
    text = f"no event with this key was read: records do not have it, nor {_others(seen.stream)}"
    return pl.concat([read, known, mentioned, _lost_or(rest, seen, NEVER_SENT, text)])


def _lost_or(rows: pl.DataFrame, seen: Seen, cause: str, evidence: str) -> pl.DataFrame:
    """Explain records that are not there: lost where less is there than was counted."""
    lost = pl.col("said").is_not_null()
    return rows.join(seen.lost, on=WINDOW, how="left").select(
        *rows.columns,
        cause=pl.when(lost).then(pl.lit(LOST)).otherwise(pl.lit(cause)),
        evidence=pl.coalesce("said", pl.lit(evidence)),
    )


def _read_by_stream(rows: pl.DataFrame, seen: Seen) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split off records that were read from the stream's own log: their position says it all."""
    fences = pl.DataFrame(
        list(seen.fences.items()),
        schema={"batch_source": pl.String, "_fence": pl.Int64},
        orient="row",
    )
    where = ["batch_source", "batch_position"]
    aside = seen.stream.select(
        "disposition", "reason", batch_source="_source", batch_position="_position"
    ).unique(where, keep="first")
    of_log = rows.join(fences, on="batch_source").join(aside, on=where, how="left")
    place = pl.format("{} position {}", "batch_source", "batch_position")
    beyond = pl.col("batch_position") >= pl.col("_fence")
    kept_out = pl.col("disposition").is_not_null()
    explained = of_log.select(
        *rows.columns,
        cause=pl.when(beyond)
        .then(pl.lit(LATE))
        .when(kept_out)
        .then(pl.when(pl.col("disposition") == LATE).then(pl.lit(LATE)).otherwise(pl.lit(REFUSED)))
        .otherwise(pl.lit(LOST)),
        evidence=pl.when(beyond)
        .then(pl.format("the stream had landed up to {}, and this is at {}", "_fence", place))
        .when(kept_out)
        .then(pl.format("the stream set it aside as {}, {}: {}", "disposition", "reason", place))
        .otherwise(pl.format("{} has landed, and is neither in records nor in quarantine", place)),
    )
    return explained, rows.join(fences, on="batch_source", how="anti")


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
