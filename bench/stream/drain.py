"""A backlog landed from its beginning, by each peer."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.compare import Fingerprint
from bench.measure import Measured, Running
from bench.race import last_words, scratch
from bench.services import Broker
from bench.stream.peer import StreamPeer
from bench.stream.result import Drain
from bench.stream.rows import expected, mismatch
from bench.stream.topic import Topic, create, read_back
from bench.stream.visible import SECOND, Visible

LONGEST_SECONDS = 900.0


@dataclass(frozen=True)
class Backlog:
    """A topic that is full, the file of its lines, and what must come out of it."""

    topic: Topic
    lines: Path
    expected: Fingerprint


def backlog(broker: Broker, name: str, rows: int, folder: Path) -> Backlog:
    """Make a topic with a backlog; `folder` keeps its lines."""
    topic = create(broker, name)
    topic.fill(rows)
    lines = read_back(topic, folder / f"{name}.parquet")
    return Backlog(topic, lines, expected(lines))


def drain(peer: StreamPeer, given: Backlog, folder: Path) -> Drain:
    """Let a peer land a backlog, and compare what landed."""
    with scratch(folder) as out:
        try:
            with Running(peer.command(given.topic, out, until_idle=True)) as process:
                done = process.finished(LONGEST_SECONDS)
        except subprocess.TimeoutExpired as error:
            return Drain(peer.name, given.expected.rows, error=str(error))
        table = out / peer.table
        return summary(peer.name, done, Visible(table), mismatch_of(done, given, table))


def mismatch_of(done: Measured, given: Backlog, table: Path) -> str:
    """Say how a peer failed, or how its table differs; nothing if neither."""
    if done.code:
        return f"exit {done.code}: {last_words(done.errors or done.output)}"
    return mismatch(given.lines, given.expected, table)


def summary(name: str, done: Measured, visible: Visible, error: str) -> Drain:
    """Return the seconds between a process's start and its commits."""
    rows = visible.look()
    moments = [version.at / SECOND - done.began for version in visible.versions] or [0.0]
    return Drain(
        name,
        rows,
        first=moments[0],
        seconds=moments[-1],
        commits=len(visible.versions),
        peak_mb=done.peak_mb,
        private_mb=done.private_mb,
        error=error,
    )
