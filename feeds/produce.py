"""Replay made-up sales as events into a spool or a Kafka topic, at a chosen pace."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from threading import Event
from typing import NamedTuple, get_args

import polars as pl

from isopach.feeds.pace import Pace
from isopach.feeds.sales_event_truth import StreamTruth, expected
from isopach.feeds.sales_events import ODD, Events, Plan, replay
from isopach.feeds.sales_stores import Shape
from isopach.feeds.spool import SpoolError
from isopach.feeds.targets import Target, TargetError, target

CHUNK = 50_000
TICK_SECONDS = 0.02
EXAMPLES = """\
examples:
  a day of 200,000 events into a spool, as fast as possible:
    python -m isopach.feeds.produce --date 2026-03-08 --to spool:spool
  three days with known faults into Kafka, 5,000 events/s, ten times as many in bursts:
    python -m isopach.feeds.produce --date 2026-03-08 --days 3 --faults \\
        --to kafka:localhost:9092/sales --rate 5000 --burst 10x
  events that happen as they are sent, to measure latency:
    python -m isopach.feeds.produce --date 2026-03-08 --to spool:spool --rate 20000 --now
"""


Report = Callable[[int, float], None]


class Produced(NamedTuple):
    """What was sent, and what is expected of it; positions are the target's where it tells."""

    truth: StreamTruth
    seconds: float


@dataclass
class _Sent:
    """What was sent so far: how many events, and the rows of those that are not plain."""

    report: Report | None
    started: float = field(default_factory=time.monotonic)
    reported: float = 0
    events: int = 0
    odd: list[pl.DataFrame] = field(default_factory=list)

    def add(self, rows: pl.DataFrame) -> None:
        self.events += rows.height
        self.odd.append(rows.filter(ODD))
        elapsed = time.monotonic() - self.started
        if self.report and elapsed - self.reported >= 1:
            self.reported = elapsed
            self.report(self.events, elapsed)


def produce(
    to: Target,
    days: Sequence[date],
    plan: Plan,
    *,
    pace: Pace = Pace(),  # noqa: B008 - frozen
    now: bool = False,
    stop: Event | None = None,
    report: Report | None = None,
) -> Produced:
    """Send the events of dates to a target, which is closed at the end.

    Args:
        now: move event times to the moment of sending; delays stay as they are.
        stop: ends it when set, with everything sent that the truth counts.
        report: called about every second with the events sent and the seconds since the start.
    """
    stop = stop or Event()
    sent = _Sent(report)
    try:
        for events in replay(days, replace(plan, binary=to.binary)):
            sent.odd.append(events.absent)
            for part in _paced(events, pace, stop):
                sent.add(_send(part.arriving(time.time_ns() // 1000) if now else part, to))
            if stop.is_set():
                break
    finally:
        to.close()
    truth = expected(sent.events, pl.concat(sent.odd), events.texts)
    return Produced(truth, time.monotonic() - sent.started)


def _paced(events: Events, pace: Pace, stop: Event) -> Iterator[Events]:
    """Yield events when they are due, in parts, until stopped."""
    started, sent = time.monotonic(), 0
    while sent < len(events) and not stop.is_set():
        due = min(CHUNK, pace.due(time.monotonic() - started) - sent) if pace.rate else CHUNK
        if due > 0:
            yield events.slice(sent, due)
            sent += due
        if due < CHUNK:
            stop.wait(TICK_SECONDS)


def _send(events: Events, to: Target) -> pl.DataFrame:
    """Send events, each to its partition, and return their rows with the positions they got."""
    lines, partitions = events.lines(), events.rows["partition"]
    positions = events.rows["position"].to_numpy().copy()
    for partition in partitions.unique().sort():
        mine = partitions == partition
        first = to.send(partition, lines.filter(mine))
        if first is not None:
            positions[mine] += first - positions[mine][0]
    return events.rows.with_columns(pl.Series("position", positions))


def main(arguments: Sequence[str] | None = None) -> int:
    """Produce from the command line; returns 0, or 1 when the target fails."""
    parser = _parser()
    args = parser.parse_args(arguments)
    days = [args.date + timedelta(days=n) for n in range(args.days)]
    plan = Plan(
        rows=args.rows,
        shape=args.shape,
        seed=args.seed,
        faults=args.faults,
        partitions=args.partitions,
        dead=args.dead_site,
    )
    report = _progress if sys.stderr.isatty() else None
    try:
        pace = Pace(args.rate, args.burst, args.burst_seconds)
        with _stopped_by_signals() as stop:
            done = produce(
                target(args.to), days, plan, pace=pace, now=args.now, stop=stop, report=report
            )
    except ValueError as error:
        parser.error(str(error))
    except (TargetError, SpoolError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if report:
        print(file=sys.stderr)
    print(_summary(done))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m isopach.feeds.produce",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--to", required=True, help="spool:DIR or kafka:BROKERS/TOPIC")
    add("--date", type=date.fromisoformat, required=True, help="first business date")
    add("--days", type=int, default=1)
    add("--rows", type=int, default=200_000, help="rows per day")
    add("--shape", choices=get_args(Shape), default="zipf")
    add("--seed", type=int, default=7)
    add("--partitions", type=int, default=4)
    add("--faults", action="store_true", help="add the known faults")
    add("--dead-site", action="append", default=[], metavar="SITE", help="a site that is silent")
    add("--rate", type=float, default=0, help="events per second; 0: as fast as possible")
    add("--burst", type=_times, default=1, metavar="10x", help="so many times the rate, at times")
    add("--burst-seconds", type=float, default=5, help="length of the burst in each minute")
    add("--now", action="store_true", help="event times are the moments of sending")
    return parser


def _times(text: str) -> float:
    try:
        return float(text.removesuffix("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give how many times, such as 10x") from None


@contextmanager
def _stopped_by_signals() -> Iterator[Event]:
    """Give an event that Ctrl-C sets, or SIGTERM; a second Ctrl-C interrupts as usual."""
    stop = Event()
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def request(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, usual[signal.Signals(number)])

    for number in usual:
        signal.signal(number, request)
    try:
        yield stop
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _progress(sent: int, seconds: float) -> None:
    print(f"\r{sent:,} events, {sent / seconds:,.0f}/s", end="", file=sys.stderr, flush=True)


def _summary(done: Produced) -> str:
    truth, seconds = done
    kinds = truth.faults["kind"].value_counts().sort("kind")
    faulty = ", ".join(f"{count} {kind}" for kind, count in kinds.iter_rows())
    speed = truth.events / max(seconds, 1e-6)
    return (
        f"{truth.events:,} events in {seconds:.1f} s ({speed:,.0f}/s),"
        f" {truth.accepted:,} to accept; {faulty or 'no faults'}"
    )


if __name__ == "__main__":
    sys.exit(main())
