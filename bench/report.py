"""The section on nights of `bench/RESULTS.md`, and the figures that the project promises."""

from __future__ import annotations

from collections.abc import Sequence

from bench.machine import measured_on
from bench.result import Race
from bench.table import OURS, grid, markdown

PROMISED_ROWS = 10_000_000
INTRODUCTION = f"""\
One night of sales is read from 200 stores' Parquet files, cast, filtered by registry and
site-local business date, given its revenue, made unique by (store, event_id) and written to a
Delta table. Every peer does that by hand-written code; {OURS} besides quarantines what it does not
accept, keeps counts, checksums, totals and a ledger, and audits before it publishes.

Seconds are wall time of a whole process from start to exit, Python's and the JVM's start-up
included. Peak memory is the resident memory of the process tree, sampled every 50 ms; private
leaves out pages shared with files. All peers get the same files, read once beforehand, and have
done a tiny night before. Equal: the rows are the same as the reference's, compared by count and
two 64-bit sums of row hashes."""


def section(races: Sequence[Race], commands: Sequence[str]) -> str:
    """Return the section in Markdown, without its heading."""
    parts = [
        measured_on(),
        INTRODUCTION,
        "```\n" + "\n".join(commands) + "\n```",
        "### In short",
        grid(("figure", "measured", "promised"), figures(races)),
        *(markdown(race) for race in races),
    ]
    return "\n\n".join(parts)


def figures(races: Sequence[Race]) -> list[tuple[str, str, str]]:
    """Return the ratios that matter, as far as the races give them, and what is promised."""
    found: list[tuple[str, float | None, str]] = []
    for race in races:
        where = f"{race.rows:,} rows, {race.shape}"
        found += [
            (f"{OURS} / polars, seconds, {where}", race.ratio(OURS, "polars"), at(race.rows, 1.3)),
            (
                f"{OURS} / pyspark, seconds, {where}",
                race.ratio(OURS, "pyspark"),
                at(race.rows, 0.5),
            ),
            (
                f"{OURS} on Spark / pyspark, seconds, {where}",
                race.ratio("isopach-spark", "pyspark"),
                at(race.rows, 1.0),
            ),
        ]
    found += [*hot(races), *flat(races)]
    return [(name, f"{value:.2f}", limit) for name, value, limit in found if value is not None]


def at(rows: int, limit: float) -> str:
    """Return a limit where it is promised: for a night large enough that start-up is little."""
    return f"≤ {limit}" if rows >= PROMISED_ROWS else "-"


def hot(races: Sequence[Race]) -> list[tuple[str, float | None, str]]:
    """Compare the night with one heavy site to the even one of the same size."""
    sizes = dict.fromkeys(race.rows for race in races)
    return [
        (
            f"{OURS}, one site with half of {rows:,} rows / uniform, seconds",
            quotient(seconds(races, rows, "hot"), seconds(races, rows, "uniform")),
            at(rows, 1.15),
        )
        for rows in sizes
    ]


def flat(races: Sequence[Race]) -> list[tuple[str, float | None, str]]:
    """Compare the memory of the largest night to that of the next smaller one, both Zipf."""
    sizes = sorted({race.rows for race in races if race.shape == "zipf"})
    if len(sizes) < 2:
        return []
    less, more = sizes[-2:]
    ratio = quotient(peak(races, more, "zipf"), peak(races, less, "zipf"))
    return [(f"{OURS}, peak memory at {more:,} / {less:,} rows, zipf", ratio, at(more, 1.2))]


def seconds(races: Sequence[Race], rows: int, shape: str) -> float | None:
    """Return our seconds on a night, if it was raced."""
    found = (race.of(OURS) for race in races if (race.rows, race.shape) == (rows, shape))
    return next((result.seconds for result in found if result), None)


def peak(races: Sequence[Race], rows: int, shape: str) -> float | None:
    """Return our peak memory on a night, if it was raced."""
    found = (race.of(OURS) for race in races if (race.rows, race.shape) == (rows, shape))
    return next((result.peak_mb for result in found if result), None)


def quotient(one: float | None, two: float | None) -> float | None:
    """Return one over the other, if both are known."""
    return one / two if one and two else None
