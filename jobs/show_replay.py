"""What came of a replay, for people."""

from __future__ import annotations

from rich.console import Console

from isopach.jobs.replaying import DRY, Summary

MOST_WINDOWS = 10
WHY = {
    "held": "their night is held",
    "settling": "a night is publishing them",
    "settled": "a night has settled what a stream had",
}


def replay(console: Console, summary: Summary) -> None:
    """Print what became of the rows, and which windows were left alone."""
    accepts = "would be accepted" if summary.outcome == DRY else "accepted"
    rejected = sum(summary.rejected.values())
    parts = [
        f"{summary.accepted:,} {accepts}",
        f"{rejected:,} still rejected",
        f"{summary.duplicate:,} duplicate",
        f"{sum(one['rows'] for one in summary.left):,} left alone",
    ]
    said = f"{summary.feed} {summary.outcome}: of {summary.candidates:,} rejected rows "
    console.print(f"{said}{', '.join(parts)} in {summary.seconds:.1f} s", highlight=False)
    for reason, rows in summary.rejected.items():
        console.print(f"  {rows:,} {reason}", markup=False, highlight=False)
    for state, why in WHY.items():
        windows = [one for one in summary.left if one["state"] == state]
        if not windows:
            continue
        rows = sum(one["rows"] for one in windows)
        names = ", ".join(f"{w['business_date']} {w['site']}" for w in windows[:MOST_WINDOWS])
        more = f", and {len(windows) - MOST_WINDOWS:,} more" if windows[MOST_WINDOWS:] else ""
        text = f"  left alone, as {why}: {rows:,} rows of {names}{more}"
        console.print(text, style="yellow", markup=False, highlight=False)
