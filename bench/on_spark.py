"""The section on nights on Spark of `bench/RESULTS.md`: Beam there against a hand-written job."""

from __future__ import annotations

from collections.abc import Sequence

from bench.machine import measured_on
from bench.result import Race
from bench.table import grid, markdown

BEAM, BY_HAND = "isopach-spark", "pyspark"
PEERS = f"{BY_HAND},{BEAM}"
PROMISED = "≤ 1.0"
INTRODUCTION = """\
The same nights on Spark's `local[*]`: a job written by hand in PySpark and delta-spark, and
`isopach submit nightly --on spark`, which packs a jar, has spark-submit run it and starts Python
workers, then audits and publishes. Both have 4 GB for the JVM. Start-up is what a night of 20,000
rows takes, left out by subtracting it. All else is as it is for nights."""


def section(start_up: Race, races: Sequence[Race], command: str) -> str:
    """Return the section in Markdown, without its heading."""
    parts = [
        measured_on(),
        INTRODUCTION,
        f"```\n{command}\n```",
        "### In short",
        grid(("figure", "measured", "promised"), figures(start_up, races)),
        *(markdown(race) for race in (start_up, *races)),
    ]
    return "\n\n".join(parts)


def figures(start_up: Race, races: Sequence[Race]) -> list[tuple[str, str, str]]:
    """Return the ratios of seconds, with start-up and without, of nights that both did."""
    found = []
    for race in races:
        where = f"{race.rows:,} rows, {race.shape}"
        ratios = {
            f"{BEAM} / {BY_HAND}, seconds, {where}": race.ratio(BEAM, BY_HAND),
            f"the same, start-up left out, {where}": without(start_up, race),
        }
        found += [(name, f"{one:.2f}", PROMISED) for name, one in ratios.items() if one is not None]
    return found


def without(start_up: Race, race: Race) -> float | None:
    """Return the ratio of seconds beyond those of the smallest night."""
    beyond = []
    for name in (BEAM, BY_HAND):
        least, whole = start_up.of(name), race.of(name)
        if least is None or whole is None or whole.seconds <= least.seconds:
            return None
        beyond.append(whole.seconds - least.seconds)
    return beyond[0] / beyond[1]
