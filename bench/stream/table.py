"""Results of streams as people read them: on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from bench.stream.peer import PLAIN
from bench.stream.result import Drain, Latency, Streams
from bench.table import grid

Row = tuple[str, ...]
LATENCY = ("peer", "p50 s", "p99 s", "max s", "rows", "commits", "peak MB", "equal")
DRAIN = (
    "peer",
    "seconds",
    f"x {PLAIN}",
    "rows/s",
    "first s",
    "after it s",
    "commits",
    "peak MB",
    "equal",
)
Section = tuple[str, tuple[str, ...], list[Row]]


def sections(found: Streams) -> list[Section]:
    """Return title, headings and rows of each table."""
    tables: list[Section] = [
        (
            f"Produce to visible at {rate:,} rows/s",
            LATENCY,
            [latency_row(one) for one in found.latencies if one.rate == rate],
        )
        for rate in found.rates
    ]
    drains = [drain_row(found, one) for one in found.drains]
    return [*tables, (f"A backlog of {found.backlog:,} rows", DRAIN, drains)]


def latency_row(one: Latency) -> Row:
    """Return a peer's line at a rate."""
    if one.error:
        return (one.name, *["-"] * (len(LATENCY) - 2), "NO")
    seconds = (f"{value:.2f}" for value in (one.p50, one.p99, one.longest))
    return (one.name, *seconds, f"{one.rows:,}", f"{one.commits}", f"{one.peak_mb:,.0f}", "yes")


def drain_row(found: Streams, one: Drain) -> Row:
    """Return a peer's line on the backlog."""
    plain = found.drain(PLAIN)
    return (
        one.name,
        f"{one.seconds:.2f}",
        f"{one.seconds / plain.seconds:.2f}" if plain and not one.error else "-",
        f"{one.speed:,.0f}",
        f"{one.first:.2f}",
        f"{one.seconds - one.first:.2f}",
        f"{one.commits}",
        f"{one.peak_mb:,.0f}",
        "NO" if one.error else "yes",
    )


def remarks(found: Streams) -> list[str]:
    """Say which peers were left out or failed, and why."""
    left_out = [f"{name} was left out: {why}" for name, why in found.skipped.items()]
    failed = [
        f"{one.name} failed: {' '.join(one.error.split())}" for one in found.results if one.error
    ]
    return left_out + failed


def terminals(found: Streams) -> list[Table]:
    """Return the results for the terminal."""
    return [terminal(*section) for section in sections(found)]


def terminal(title: str, headings: Sequence[str], rows: Iterable[Row]) -> Table:
    """Return one table for the terminal."""
    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=not number)
    for row in rows:
        table.add_row(*row, style="red" if row[-1] == "NO" else None)
    return table


def markdown(found: Streams) -> str:
    """Return the results as Markdown."""
    tables = (f"### {title}\n\n{grid(head, rows)}" for title, head, rows in sections(found))
    return "\n\n".join([*tables, *remarks(found)])
