"""Tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from isopach.jobs.approving import Approved
from isopach.jobs.nightly import Summary
from isopach.jobs.repairing import Repaired
from isopach.jobs.stream import Summary as Streamed
from isopach.pipelines.findings import Finding
from isopach.pipelines.verify import Proof
from isopach.pipelines.verify_evidence import Upheld

STYLES = {"settled": "green", "held": "yellow", "provisional": "cyan"}
MOST_FINDINGS = 50
MOST_WARNINGS = 10


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
    _gates(console, summary)
    for item in summary.held:
        held(console, item["site"], item["reason"])
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


def _gates(console: Console, summary: Summary) -> None:
    """Print how many expectations are met, and what warns."""
    passed, failed = (summary.gates.get(name, 0) for name in ("passed", "failed"))
    if passed or failed:
        said = f"  {passed:,} of {passed + failed:,} expectations are met"
        console.print(said, markup=False, highlight=False)
    warned(console, summary.warnings)


def warned(console: Console, warnings: Sequence[dict[str, str | None]]) -> None:
    """Print what warns, and where."""
    for warning in warnings[:MOST_WARNINGS]:
        where = warning["site"] or "all sites"
        said = f"  warning {where}: {warning['expectation']}: {warning['observed']}"
        console.print(said, style="yellow", markup=False, highlight=False)
    if len(warnings) > MOST_WARNINGS:
        rest = len(warnings) - MOST_WARNINGS
        console.print(f"  … and {rest:,} more warnings, in ledger/gates", highlight=False)


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
    table(console, counted.sort("records", "kind", "cause", descending=True))


def approved(console: Console, done: Approved) -> None:
    """Print what was published by whom, and what waits for what."""
    for window in done.published:
        console.print(
            f"  published {window.business_date} {window.site}, {window.accepted:,} records: "
            f"was held: {window.reason}",
            markup=False,
            highlight=False,
        )
    if done.published:
        console.print(
            f"{len(done.published):,} windows of run {done.run} approved by {done.by}; "
            f"{done.differing:,} of them differ from the stream"
        )
    for window in done.waiting:
        reason = window.reason + (f" ({window.problem})" if window.problem else "")
        held(console, f"{window.business_date} {window.site}", reason)
    if any(window.problem is None for window in done.waiting):
        console.print("publish them all the same: add --approve")


def repaired(console: Console, done: Repaired, limit: int) -> None:
    """Print what was corrected, and that nothing differs any more."""
    if done.repaired:
        differences(console, done.differences, limit, done.compared)
    for item in done.left:
        held(console, item["site"], item["reason"])
    same = done.compared - len(done.repaired)
    said = f"{same:,} of {done.compared:,} settled windows agree with what is there now"
    if done.repaired:
        said += f"; {len(done.repaired):,} replaced and compared again: "
        said += f"{done.again:,} records differ" if done.again else "nothing differs"
    console.print(said, highlight=False)


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
    for reason in summary.gate:
        console.print(f"  not met {reason}", style="red", markup=False, highlight=False)
    if summary.outcome == "paused":
        console.print("the gate has stopped the stream; mend the cause, then start it again")
    for reason in summary.stuck.values():
        console.print(f"  stuck {reason}", style="red", markup=False, highlight=False)


def modes(console: Console, rows: pl.DataFrame) -> None:
    """Print counts of all sites together, both modes of a date one above the other."""
    figures = ["read", "accepted", "rejected", "late", "duplicate"]
    sums = rows.group_by("business_date", "mode").agg(pl.col(figures).sum()).drop_nulls("mode")
    table(console, sums.sort("business_date", "mode"))


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
    table(console, reasons)


def upheld(console: Console, found: Upheld) -> None:
    """Print whether evidence holds: what first does not, and which tables have moved on."""
    said = (
        f"evidence of {found.feed} {found.date}: {found.windows:,} settled windows, "
        f"{found.files:,} files"
    )
    if found.broken is None:
        console.print(f"[green]holds[/]: {said}", highlight=False)
        for table, moved in found.moved.items():
            console.print(f"  {table} {moved}; the rows are the same", highlight=False)
    else:
        _finding(console, found.broken)
        console.print(f"does not hold: {said}", style="red", highlight=False)


def proof(console: Console, proof: Proof) -> None:
    """Print what verification found."""
    if not proof.windows and not proof.findings:
        console.print(f"nothing to verify: the ledger has no window of {proof.feed}", style="red")
        return
    for finding in proof.findings[:MOST_FINDINGS]:
        _finding(console, finding)
    if len(proof.findings) > MOST_FINDINGS:
        console.print(f"… and {len(proof.findings) - MOST_FINDINGS:,} more", style="red")
    if not proof.windows:
        console.print(
            "not verified: the rest cannot be checked without these files; restore them",
            style="red",
        )
        return
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


def _finding(console: Console, finding: Finding) -> None:
    said = ": ".join(filter(None, [finding.check, finding.place, finding.message]))
    console.print(said, style="red", markup=False, highlight=False)


def held(console: Console, window: str, reason: str) -> None:
    """Print why a window is held."""
    console.print(f"  held {window}: {reason}", style="yellow", markup=False, highlight=False)


def table(console: Console, rows: pl.DataFrame) -> None:
    """Print rows; numbers, dates and states are never folded."""
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, kind in rows.schema.items():
        title, number = "date" if name == "business_date" else name, kind.is_numeric()
        justify: Literal["right", "left"] = "right" if number else "left"
        whole = number or title in ("date", "state")
        least = (
            min(4, max(map(len, rows["site"].drop_nulls()), default=1)) if title == "site" else 1
        )
        shown.add_column(title, justify=justify, overflow="fold", no_wrap=whole, min_width=least)
    for row in rows.iter_rows():
        shown.add_row(*_cells(row))
    console.print(shown)


def _cells(row: Sequence[Any]) -> list[str]:
    from rich.markup import escape

    texts = ["" if v is None else f"{v:,}" if isinstance(v, int) else escape(str(v)) for v in row]
    return [f"[{STYLES[text]}]{text}[/]" if text in STYLES else text for text in texts]
