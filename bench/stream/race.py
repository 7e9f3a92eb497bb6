"""All peers at all rates and on the backlog, one after the other, against one broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.night import CACHE
from bench.race import Say, scratch
from bench.services import Broker, kafka
from bench.stream.drain import Backlog, backlog, drain
from bench.stream.latency import latency
from bench.stream.peer import StreamPeer
from bench.stream.result import Drain, Latency, Streams

WARM_UP_ROWS = 20_000


@dataclass(frozen=True)
class Course:
    """What is measured: rates in events a second, for so many seconds each, and a backlog."""

    rates: Sequence[int] = (1_000, 5_000)
    seconds: int = 30
    backlog: int = 5_000_000


def race(
    peers: Sequence[StreamPeer], course: Course, *, cache: Path = CACHE, say: Say = print
) -> Streams:
    """Measure the peers that can run here; the others are told of."""
    racing, skipped = able(peers)
    for name, why in skipped.items():
        say(f"{name} is left out: {why}")
    with scratch(cache) as folder:
        folder.mkdir()
        with kafka(folder / "kafka") as broker:
            warm_up(racing, broker, folder, say)
            latencies = tuple(each_latency(racing, broker, course, folder, say))
            drains = tuple(each_drain(racing, broker, course, folder, say))
    return Streams(course.seconds, course.backlog, latencies, drains, skipped)


def able(peers: Sequence[StreamPeer]) -> tuple[list[StreamPeer], dict[str, str]]:
    """Return the peers that can run here, and of the others why not."""
    skipped = {peer.name: why for peer in peers if (why := peer.missing())}
    return [peer for peer in peers if peer.name not in skipped], skipped


def warm_up(peers: Sequence[StreamPeer], broker: Broker, folder: Path, say: Say) -> None:
    """Let each peer land a few rows: libraries in memory, modules compiled."""
    given = backlog(broker, "warm-up", WARM_UP_ROWS, folder)
    for peer in peers:
        say(f"warming up {peer.name}")
        drain(peer, given, folder)  # a failure will show when it is timed


def each_latency(
    peers: Sequence[StreamPeer], broker: Broker, course: Course, folder: Path, say: Say
) -> list[Latency]:
    """Measure every peer at every rate."""
    found = []
    for rate in course.rates:
        for peer in peers:
            found.append(latency(peer, broker, rate, course.seconds, folder))
            say(told(found[-1]))
    return found


def each_drain(
    peers: Sequence[StreamPeer], broker: Broker, course: Course, folder: Path, say: Say
) -> list[Drain]:
    """Measure every peer on one backlog."""
    say(f"making a backlog of {course.backlog:,} rows")
    given: Backlog = backlog(broker, "backlog", course.backlog, folder)
    found = []
    for peer in peers:
        found.append(drain(peer, given, folder))
        one = found[-1]
        say(f"{one.name}: {one.rows:,} rows in {one.seconds:.2f} s {one.error}".rstrip())
    return found


def told(one: Latency) -> str:
    """Return a line of progress."""
    seconds = f"p50 {one.p50:.2f} s, p99 {one.p99:.2f} s"
    return f"{one.name}, {one.rate:,} rows/s: {one.error or seconds}"
