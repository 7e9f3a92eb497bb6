"""From making an event to seeing it in the table, by each peer at a steady rate."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import polars as pl

from bench.measure import Running
from bench.night import DAY
from bench.race import last_words, scratch
from bench.services import Broker
from bench.stream.peer import StreamPeer
from bench.stream.result import Latency
from bench.stream.rows import expected, mismatch
from bench.stream.topic import DAYS_BEFORE, Topic, create, read_back
from bench.stream.visible import Visible

SETTLING = 5.0
"""Seconds of the steady rate before those that count."""
READY_SECONDS = 180.0
LANDED_SECONDS = 120.0
ENDED_SECONDS = 60.0
LOOK_SECONDS = 0.2


class PeerError(Exception):
    """A peer that did not do its work; the message says what it did instead."""


def latency(peer: StreamPeer, broker: Broker, rate: int, seconds: float, folder: Path) -> Latency:
    """Run a peer on a topic of its own; what it does wrong is in the result."""
    topic = create(broker, f"latency-{peer.name}-{rate}")
    with scratch(folder) as out:
        table, lines = out / peer.table, out.with_name("lines.parquet")
        visible = Visible(table)
        try:
            with Running(peer.command(topic, out)) as process:
                get_going(process, visible, topic, rate, lines)
                topic.fill(round(rate * (SETTLING + seconds)), rate=rate)
                wanted = expected(read_back(topic, lines))
                await_rows(process, visible, wanted.rows, LANDED_SECONDS)
                process.interrupt()
                peak_mb = ended_well(process)
            if error := mismatch(lines, wanted, table):
                raise PeerError(error)
        except PeerError as error:
            return Latency(peer.name, rate, error=str(error))
        return summary(peer.name, rate, visible, peak_mb)


def get_going(process: Running, visible: Visible, topic: Topic, rate: int, lines: Path) -> None:
    """Have other events landed first, a second's worth at a time: a JVM is slow to warm up."""
    for day in DAYS_BEFORE:
        topic.fill(rate, day=day, rate=0)
        wanted = expected(read_back(topic, lines))
        await_rows(process, visible, wanted.rows, READY_SECONDS)


def await_rows(process: Running, visible: Visible, rows: int, seconds: float) -> None:
    """Wait until so many rows have landed; raises PeerError if they do not in time."""
    until = time.monotonic() + seconds
    while (landed := visible.look()) < rows:
        if process.ended:
            raise PeerError(f"ended too early: {last_words(process.finished().errors)}")
        if time.monotonic() > until:
            raise PeerError(f"{landed:,} of {rows:,} rows after {seconds:.0f} s more")
        time.sleep(LOOK_SECONDS)


def ended_well(process: Running) -> float:
    """Wait for a peer that was told to end, and return its peak memory; raises PeerError."""
    try:
        done = process.finished(ENDED_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"did not end within {ENDED_SECONDS:.0f} s of Ctrl-C") from error
    if done.code:
        raise PeerError(f"exit {done.code}: {last_words(done.errors or done.output)}")
    return done.peak_mb


def summary(name: str, rate: int, visible: Visible, peak_mb: float) -> Latency:
    """Return the latencies of the events that were made after the settling."""
    events = visible.events().filter(pl.col("event_id").str.contains(f"{DAY:-%Y%m%d-}"))
    begun = pl.col("sold_at") - pl.col("sold_at").min()
    counted = events.filter(begun >= pl.duration(seconds=int(SETTLING)))
    waits = counted.select(
        wait=(pl.col("visible") - pl.col("sold_at")).dt.total_microseconds() / 1e6
    ).to_series()
    return Latency(
        name,
        rate,
        rows=len(waits),
        p50=quantile(waits, 0.5),
        p99=quantile(waits, 0.99),
        longest=quantile(waits, 1.0),
        commits=counted["visible"].n_unique(),
        peak_mb=peak_mb,
    )


def quantile(values: pl.Series, share: float) -> float:
    """Return the least value that so large a share of values does not exceed; 0 for none."""
    return float(values.quantile(share, "higher") or 0.0)
