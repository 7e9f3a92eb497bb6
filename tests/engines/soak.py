"""Stream for a while on an engine, and tell what it took: memory, rows, landings, latency.

    python tests/engines/soak.py --engine prism --minutes 30 --rate 1000
    python tests/engines/soak.py --engine flink --log spool
    python tests/engines/soak.py --engine flink --day 60

Events happen as they are sent, into a Kafka broker that is started for it or into a spool; all of
their windows stay open, and so the keys of these are kept. With `--day` they are of one day after
the other, each so many seconds long, whose windows close behind them. At the end the producer
stops, the stream lands what is left and ends, and the lake is verified. Exits with 1 when rows are
missing, the stream failed or verification found something.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep, time
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import psutil
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1] / "services"))

DAY_ROWS = 200_000
SAMPLE_SECONDS = 10.0
START_SECONDS = 180.0
LAND_SECONDS = 300.0
END_SECONDS = 60.0
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Sample:
    """Memory of the stream's process and of those it started, in bytes, and what it had landed."""

    seconds: float
    driver: int
    engine: int
    rows: int
    landings: int
    keys: int


@dataclass
class Latencies:
    """Seconds from a row's event time to the commit that made it visible, read from a Delta log.

    `since` is the moment before which commits do not count; never, where events are not of now.
    """

    table: Path
    since: float
    known: set[str] = field(default_factory=set)
    found: list[np.ndarray] = field(default_factory=list)

    def look(self) -> None:
        """Read the commits that came since the last time."""
        for commit in sorted((self.table / "_delta_log").glob("*.json")):
            if commit.name not in self.known:
                self.known.add(commit.name)
                self._read(commit)

    def _read(self, commit: Path) -> None:
        visible = commit.stat().st_mtime_ns // 1000
        if visible < self.since * 1e6:
            return
        for line in commit.read_text().splitlines():
            add = json.loads(line).get("add")
            if add and add["dataChange"]:
                rows = pq.read_table(
                    self.table / add["path"], columns=["sold_at"], partitioning=None
                )
                times = rows["sold_at"].cast("int64").to_numpy()
                self.found.append((visible - times) / 1e6)

    def percentiles(self) -> str:
        """Return the 50th, the 99th and the greatest."""
        if not self.found:
            return "none"
        all_ = np.concatenate(self.found)
        middle, most = np.percentile(all_, [50, 99])
        return f"p50 {middle:.2f} s, p99 {most:.2f} s, max {all_.max():.2f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a soak from the command line; return its exit code."""
    args = _parser().parse_args(arguments)
    if args.warm_up is None:
        args.warm_up = min(args.minutes / 6, 5)
    folder = Path(args.folder or mkdtemp(prefix="isopach-soak-"))
    print(f"in {folder}", flush=True)
    with ExitStack() as stack:
        address = stack.enter_context(log_of(args.log, folder))
        port = free_port()
        stream = stack.enter_context(streaming(args, address, folder, port))
        wait_until_served(stream, port)
        warm = math.inf if args.day else time() + 60 * args.warm_up
        latencies = Latencies(folder / "lake" / "sales" / "records", warm)
        with producing(args, address, folder) as producer:
            samples = list(sampled(stream, port, 60 * args.minutes, latencies))
        sent = ended(producer, folder / "producer.out")
        failures = finish(stream, port, sent, latencies, samples)
    return report(args, folder, samples, sent, latencies, failures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--engine", default="prism", help="prism, flink, flink:HOST:PORT, or micro-batch")
    add("--log", choices=["kafka", "spool"], default="kafka")
    add("--minutes", type=float, default=30)
    add("--rate", type=float, default=1000, help="events per second")
    add("--day", type=float, help="seconds that a day of events takes; as they are sent otherwise")
    add("--partitions", type=int, default=4)
    add("--parallelism", type=int, default=1, help="of Flink")
    add("--every", help="from one commit to the next; the cadence's own if not given")
    add("--warm-up", type=float, help="minutes before memory and latency count; a sixth, 5 at most")
    add("--folder", help="where broker, lake and logs are; a new one if not given")
    return parser


@contextmanager
def log_of(kind: str, folder: Path) -> Iterator[str]:
    """Give the address of an empty log."""
    if kind == "spool":
        yield f"spool:{folder / 'spool'}"
        return
    from broker import Broker

    broker = Broker(folder / "broker")
    try:
        broker.start()
        yield f"kafka:{broker.address}/sales"
    finally:
        broker.stop()


def free_port() -> int:
    from broker import free_ports

    return free_ports()[0]


@contextmanager
def streaming(
    args: argparse.Namespace, address: str, folder: Path, port: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the stream; it is killed at the end if it still runs."""
    if args.log == "kafka":
        _create_topic(address, args.partitions)
    program = str(Path(sys.executable).with_name("isopach"))
    command = [program, "stream", "sales", "--source", address, "--lake", str(folder / "lake")]
    command += ["--metrics", str(port), "--log", "json"]
    if args.engine != "micro-batch":
        command += ["--cadence", "continuous", "--engine", args.engine]
        command += ["--parallelism", str(args.parallelism)]
    if args.every:
        command += ["--every", args.every]
    with (folder / "stream.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _create_topic(address: str, partitions: int) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    brokers, _, topic = address.removeprefix("kafka:").partition("/")
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)


@contextmanager
def producing(
    args: argparse.Namespace, address: str, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Send events at the rate until the end, with everything sent that was counted."""
    day_rows = round(args.rate * args.day) if args.day else DAY_ROWS
    days = math.ceil(args.rate * 60 * (args.minutes + 5) / day_rows)
    command = [sys.executable, "-m", "isopach.feeds.produce", "--to", address]
    command += [] if args.day else ["--now"]
    command += ["--date", "2026-03-01", "--days", str(days), "--rows", str(day_rows)]
    command += ["--rate", str(args.rate), "--partitions", str(args.partitions)]
    with (folder / "producer.out").open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        process.wait(END_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def ended(producer: subprocess.Popen[bytes], out: Path) -> int:
    """Return how many events a producer has sent."""
    said = out.read_text()
    if producer.returncode:
        raise SystemExit(f"the producer ended with {producer.returncode}:\n{said}")
    return int(said.split(" events")[0].splitlines()[-1].replace(",", ""))


def wait_until_served(stream: subprocess.Popen[bytes], port: int) -> None:
    until = monotonic() + START_SECONDS
    while not metrics(port):
        if stream.poll() is not None or monotonic() > until:
            raise SystemExit("the stream does not serve metrics; see its log")
        sleep(0.2)


def metrics(port: int) -> dict[str, float]:
    """Return the stream's metrics, added up over their labels; none while it serves none."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except (URLError, OSError):
        return {}
    sums: dict[str, float] = {}
    for line in lines:
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            sums[name] = sums.get(name, 0.0) + float(value)
    return sums


def sampled(
    stream: subprocess.Popen[bytes], port: int, seconds: float, latencies: Latencies
) -> Iterator[Sample]:
    """Yield samples until the time is over or the stream has ended."""
    started = monotonic()
    due = started
    while due <= started + seconds and stream.poll() is None:
        sleep(max(due - monotonic(), 0))
        due += SAMPLE_SECONDS
        sample = sample_of(stream.pid, port, monotonic() - started)
        latencies.look()
        if sample is not None:
            _say(sample)
            yield sample


def sample_of(pid: int, port: int, seconds: float) -> Sample | None:
    shown = metrics(port)
    try:
        driver = psutil.Process(pid)
        own, others = driver.memory_info().rss, 0
        for child in driver.children(recursive=True):
            try:
                others += child.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        return None
    rows, landings = shown.get("isopach_rows_total", 0), shown.get("isopach_landings_total", 0)
    keys = shown.get("isopach_key_index_bytes", 0)
    return Sample(seconds, own, others, int(rows), int(landings), int(keys))


def _say(sample: Sample) -> None:
    print(
        f"{datetime.now(UTC):%T} {sample.seconds:7.0f} s  driver {_mb(sample.driver)}"
        f" (keys {_mb(sample.keys)})  engine {_mb(sample.engine)}"
        f"  {sample.rows:,} rows  {sample.landings:,} landings",
        flush=True,
    )


def _mb(size: float) -> str:
    return f"{size / MEGABYTE:,.0f} MB"


def finish(
    stream: subprocess.Popen[bytes],
    port: int,
    sent: int,
    latencies: Latencies,
    samples: list[Sample],
) -> list[str]:
    """Wait until all has landed, and end the stream; return what went wrong."""
    until, failures = monotonic() + LAND_SECONDS, []
    while metrics(port).get("isopach_rows_total", 0) < sent:
        if stream.poll() is not None or monotonic() > until:
            failures.append(f"{sent:,} events were sent, and not all have landed")
            break
        sleep(0.2)
    latencies.look()
    last = sample_of(stream.pid, port, samples[-1].seconds + SAMPLE_SECONDS) if samples else None
    samples += [last] if last else []
    children = psutil.Process(stream.pid).children(recursive=True) if last else []
    if stream.poll() is None:
        stream.send_signal(signal.SIGINT)
    try:
        code = stream.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        return [*failures, f"the stream did not end within {END_SECONDS:.0f} s of SIGINT"]
    if code:
        failures.append(f"the stream ended with {code}")
    left = psutil.wait_procs(children, 10)[1]
    if left:
        failures.append(f"the stream left running: {', '.join(p.name() for p in left)}")
    return failures


def report(
    args: argparse.Namespace,
    folder: Path,
    samples: list[Sample],
    sent: int,
    latencies: Latencies,
    failures: list[str],
) -> int:
    """Print what was measured; return the exit code."""
    warm = [s for s in samples if s.seconds >= 60 * args.warm_up] or samples[-1:]
    print(f"\n{args.engine}, {args.log}: {args.minutes:g} minutes at {args.rate:,.0f} events/s")
    print(f"machine     {os.cpu_count()} cores, {_mb(psutil.virtual_memory().total)}")
    if warm:
        print(f"memory      from {warm[0].seconds:.0f} s on: first, last, maximum")
        for name in ("driver", "keys", "engine"):
            values = [getattr(sample, name) for sample in warm]
            print(f"  {name:9} {_mb(values[0])}, {_mb(values[-1])}, {_mb(max(values))}")
        print(f"rows        {sent:,} sent, {samples[-1].rows:,} landed")
        print(f"landings    {samples[-1].landings:,}")
    restarts = (folder / "stream.log").read_text(errors="replace").count("starting again")
    print(f"restarts    {restarts}")
    print(f"latency     {latencies.percentiles()} from event to visible")
    program = str(Path(sys.executable).with_name("isopach"))
    lake = str(folder / "lake")
    verified = subprocess.run([program, "verify", "sales", "--lake", lake]).returncode
    failures += [f"verify ended with {verified}"] if verified else []
    for failure in failures:
        print(f"FAILED      {failure}; see {folder}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
