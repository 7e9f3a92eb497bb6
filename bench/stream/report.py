"""The section on streams of `bench/RESULTS.md`, and the figures that the project promises."""

from __future__ import annotations

from bench.machine import measured_on
from bench.stream.peer import CONTINUOUS, MICRO, PLAIN, SPARK
from bench.stream.result import Streams
from bench.stream.table import markdown
from bench.table import grid

INTRODUCTION = """\
Sales events come as JSON through a topic of four partitions on one real broker, and land in a
Delta table. The plain loop consumes, parses and appends every second or 200,000 rows; Spark is
Structured Streaming with a trigger of one second, and `availableNow` for the backlog. Both drop
incomplete rows and look for nothing else; isopach besides lands each event once, quarantines what
it does not accept, and keeps counts, checksums, totals and a ledger.

Latency is from the moment a producer made the event, its `sold_at`, to the time of the Delta log
file of the version that has it first. A peer has landed a second's worth of other events three
times before, and the first five seconds do not count. Every peer gets the same events in a topic
of its own; broker, producer and peer share the machine. The backlog is one topic, from its
beginning, and seconds are from the start of the process to the last commit. Equal: the table has
the topic's complete events, each once with all values, by count and two 64-bit sums of row
hashes."""
PROMISED_RATE = 1_000
PROMISED_ROWS = 5_000_000
Figure = tuple[str, float | None, str]


def section(found: Streams, command: str) -> str:
    """Return the section in Markdown, without its heading."""
    parts = [
        measured_on(),
        INTRODUCTION,
        f"```\n{command}\n```",
        "### In short",
        grid(("figure", "measured", "promised"), figures(found)),
        markdown(found),
    ]
    return "\n\n".join(parts)


def figures(found: Streams) -> list[tuple[str, str, str]]:
    """Return the figures that matter, as far as they were measured, and what is promised."""
    every: list[Figure] = []
    for rate in found.rates:
        every += latencies(found, rate)
    every += drains(found)
    return [(name, f"{value:.2f}", limit) for name, value, limit in every if value is not None]


def latencies(found: Streams, rate: int) -> list[Figure]:
    """Return the p99 of ours at a rate, and over Spark's."""
    spark = p99(found, SPARK, rate)
    every: list[Figure] = []
    for name, limit in ((MICRO, "< 2"), (CONTINUOUS, "< 1")):
        ours = p99(found, name, rate)
        promised = limit if rate == PROMISED_RATE else "-"
        every += [
            (f"{name}, p99 seconds at {rate:,} rows/s", ours, promised),
            (f"{name} / {SPARK}, p99 at {rate:,} rows/s", quotient(ours, spark), "≤ 0.5"),
        ]
    return every


def drains(found: Streams) -> list[Figure]:
    """Return the rows a second of ours over those of others."""
    large = found.backlog >= PROMISED_ROWS
    return [
        (
            f"{ours} / {other}, rows/s of {found.backlog:,}",
            quotient(speed(found, ours), speed(found, other)),
            limit if large else "-",
        )
        for ours in (MICRO, CONTINUOUS)
        for other, limit in ((SPARK, "≥ 1"), (PLAIN, "≥ 0.8"))
    ]


def p99(found: Streams, name: str, rate: int) -> float | None:
    """Return a peer's p99, if it was measured."""
    one = found.latency(name, rate)
    return one.p99 if one else None


def speed(found: Streams, name: str) -> float | None:
    """Return a peer's rows a second, if it drained the backlog."""
    one = found.drain(name)
    return one.speed if one else None


def quotient(one: float | None, two: float | None) -> float | None:
    """Return one over the other, if both are known."""
    return one / two if one and two else None
