"""Tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from isopach.feeds.columns import type_name
from isopach.feeds.load import Declaration
from isopach.feeds.rules import declared_rules
from isopach.jobs.nightly import Summary
from isopach.jobs.stream import Summary as Streamed
from isopach.pipelines.verify import Proof

STYLES = {"settled": "green", "held": "yellow", "provisional": "cyan"}
MOST_FINDINGS = 50


def night(console: Console, summary: Summary) -> None:
    """Print what came of a night."""
    table = Table(
        title=f"{summary.feed} {summary.date}: {summary.outcome}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    figures = {
        "settled": f"{summary.settled:,} of {summary.sites:,}",
        "held": f"[yellow]{len(summary.held):,}[/]" if summary.held else "0",
        **{
            n: f"{getattr(summary, n):,}"
            for n in ("read", "accepted", "rejected", "late", "duplicate")
        },
        "seconds": f"{summary.seconds:.1f}",
        "rows/s": f"{summary.rows_per_second:,}",
    }
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(*figures.values())
    console.print(table)
    if summary.compared:
        _compared(console, summary)
    for item in summary.held:
        _held(console, item["site"], item["reason"])
    for extra in summary.extra:
        text = "  undeclared column {column!r} of {site}: {rows:,} rows have a value".format(
            **extra
        )
        console.print(text, markup=False, highlight=False)
    if summary.awaited:
        console.print(f"  not due yet: {', '.join(summary.awaited)}", markup=False)


def _compared(console: Console, summary: Summary) -> None:
    """Print whether the night and its stream agree."""
    same = summary.compared - summary.differing
    said = f"  batch and stream agree in {same:,} of {summary.compared:,} windows"
    if summary.causes:
        causes = ", ".join(f"{rows:,} {cause}" for cause, rows in summary.causes.items())
        said += f"; records that differ: {causes}"
    console.print(said, markup=False, highlight=False)


def differences(
    console: Console, rows: pl.DataFrame, limit: int, compared: int | None = None
) -> None:
    """Print records that differ, with what is known of each, then how many and why."""
    if compared == 0:
        console.print(
            "no window to compare: no stream has landed, or nights have settled all that were "
            "delivered; without --landing this shows what they found"
        )
        return
    if rows.is_empty():
        windows = "" if compared is None else f" in {compared:,} windows"
        console.print(f"nothing differs{windows}")
        return
    for row in rows.head(limit).iter_rows(named=True):
        columns = f" in {row['columns']}" if row["columns"] else ""
        said = (
            f"{row['business_date']} {row['site']}  {row['kind']}{columns}: {row['cause']}  "
            f"{row['key']}\n  {row['evidence']}"
        )
        sides = [f"\n  {side}: {row[side]}" for side in ("stream", "batch") if row[side]]
        console.print(said + "".join(sides), markup=False, highlight=False)
    window = pl.struct("site", "business_date").n_unique().alias("windows")
    counted = rows.group_by("kind", "cause").agg(window, pl.len().alias("records"))
    _print(console, counted.sort("records", "kind", "cause", descending=True))


def stream(console: Console, summary: Streamed) -> None:
    """Print what a run of a stream landed."""
    rows = sum(summary.rows.values())
    parts = ", ".join(f"{count:,} {name}" for name, count in summary.rows.items())
    rate = f"{rows / summary.seconds:,.0f} rows/s" if summary.seconds else ""
    console.print(
        f"{summary.feed} {summary.outcome}: {rows:,} rows landed ({parts}) "
        f"in {summary.seconds:.1f} s, {rate}",
        highlight=False,
    )
    for reason in summary.stuck.values():
        console.print(f"  stuck {reason}", style="red", markup=False, highlight=False)


def declaration_data(declared: Declaration) -> dict[str, Any]:
    """Return what a declaration amounts to."""
    feed = declared.feed
    return {
        "feed": feed.feed,
        "file": str(declared.path),
        "columns": {f.name: type_name(f.type) for f in feed.payload},
        "key": list(feed.key),
        "rules": [{"reason": r.reason, "column": r.column} for r in declared_rules(feed)],
        "totals": {name: list(total.measures) for name, total in feed.totals.items()},
        "sites": len(declared.sites),
        "time_zones": len({site.time_zone for site in declared.sites}),
    }


def declaration(console: Console, declared: Declaration) -> None:
    """Print what a declaration amounts to."""
    data = declaration_data(declared)
    table = Table(title=f"{data['feed']} ({data['file']})", title_justify="left")
    for name in ("column", "type", "required", "comes from"):
        table.add_column(name)
    feed = declared.feed
    for name, kind in data["columns"].items():
        column = feed.columns.get(name)
        origin = "the site" if column else feed.derive.get(name, "lookup")
        table.add_row(name, kind, "yes" if column and column.required else "", origin)
    console.print(table)
    console.print(f"sites: {data['sites']} in {data['time_zones']} time zones ({feed.sites})")
    console.print(f"one row per {', '.join(feed.key)}, by {feed.site} and business date")
    for name, total in feed.totals.items():
        console.print(f"totals_{name}: by {', '.join(total.by)}: {', '.join(total.measures)}")


def counts(console: Console, rows: pl.DataFrame) -> None:
    """Print counts per window, both modes one above the other, and why windows are held."""
    if rows.is_empty():
        console.print("no windows: nothing of this was run there yet")
        return
    window = ["business_date", "site", "state"]
    modes = ["mode"] if rows["mode"].n_unique() > 1 else []
    figures = ["read", "accepted", "rejected", "late", "duplicate", "declared"]
    _print(console, rows.select(*window, *modes, *figures))
    for day, site, reason in rows.drop_nulls("reason").select(*window[:2], "reason").rows():
        _held(console, f"{day} {site}", reason)
    states = rows.group_by("business_date", "state").agg(
        windows=pl.len(), rows=pl.col("rows").sum()
    )
    _print(console, states.sort("business_date", "state"))


def modes(console: Console, rows: pl.DataFrame) -> None:
    """Print counts of all sites together, both modes of a date one above the other."""
    figures = ["read", "accepted", "rejected", "late", "duplicate"]
    sums = rows.group_by("business_date", "mode").agg(pl.col(figures).sum()).drop_nulls("mode")
    _print(console, sums.sort("business_date", "mode"))


def quarantine(console: Console, reasons: pl.DataFrame, rows: pl.DataFrame) -> None:
    """Print rows set aside: where each is from and as it was sent, then how many and why."""
    if reasons.is_empty():
        console.print("nothing was set aside")
        return
    for row in rows.iter_rows(named=True):
        why = ": ".join(filter(None, [row["reason"], row["column"]]))
        place = (
            row["_source"] if row["_position"] is None else f"{row['_source']}:{row['_position']}"
        )
        since = f"  replayed by {row['replayed_run']}" if row["replayed_run"] else ""
        said = f"{row['business_date']} {row['site']}  {why}  {place}{since}\n  {row['raw']}"
        console.print(said, markup=False, highlight=False)
    _print(console, reasons)


def proof(console: Console, proof: Proof) -> None:
    """Print what verification found."""
    if not proof.windows:
        console.print(f"nothing to verify: the ledger has no window of {proof.feed}", style="red")
        return
    for finding in proof.findings[:MOST_FINDINGS]:
        said = ": ".join(filter(None, [finding.check, finding.place, finding.message]))
        console.print(said, style="red", markup=False)
    if len(proof.findings) > MOST_FINDINGS:
        console.print(f"… and {len(proof.findings) - MOST_FINDINGS:,} more", style="red")
    said = (
        f"{proof.windows:,} windows ({proof.settled:,} settled), {proof.records:,} records, "
        f"{proof.quarantined:,} set aside"
    )
    if not proof.findings:
        console.print(
            f"[green]verified[/] {said}: each row read is there exactly once, keys are unique, "
            "checksums and totals agree"
        )
    else:
        console.print(f"not verified: {len(proof.findings):,} findings in {said}", style="red")


def _held(console: Console, window: str, reason: str) -> None:
    console.print(f"  held {window}: {reason}", style="yellow", markup=False, highlight=False)


def _print(console: Console, rows: pl.DataFrame) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, kind in rows.schema.items():
        title, number = "date" if name == "business_date" else name, kind.is_numeric()
        justify: Literal["right", "left"] = "right" if number else "left"
        whole = number or title in ("date", "state")
        least = (
            min(4, max(map(len, rows["site"].drop_nulls()), default=1)) if title == "site" else 1
        )
        table.add_column(title, justify=justify, overflow="fold", no_wrap=whole, min_width=least)
    for row in rows.iter_rows():
        table.add_row(*_cells(row))
    console.print(table)


def _cells(row: Sequence[Any]) -> list[str]:
    from rich.markup import escape

    texts = ["" if v is None else f"{v:,}" if isinstance(v, int) else escape(str(v)) for v in row]
    return [f"[{STYLES[text]}]{text}[/]" if text in STYLES else text for text in texts]
