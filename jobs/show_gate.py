"""For people: what a gate says of a table."""

from __future__ import annotations

from rich.console import Console

from isopach.jobs.show import held, warned
from isopach.jobs.table_gate import Judged


def judged(console: Console, one: Judged) -> None:
    """Print how many expectations are met, what warns, and which windows fail."""
    every = one.passed + one.failed
    console.print(
        f"{one.feed} {one.business_date}, version {one.version}: {one.passed:,} of {every:,} "
        f"expectations are met in {one.windows:,} windows",
        style="green" if not one.failed else None,
        highlight=False,
    )
    warned(console, one.warnings)
    for item in one.held:
        held(console, item["site"], item["reason"])
    if one.left_out:
        console.print(f"  not settled: {', '.join(one.left_out)}", markup=False, highlight=False)
