from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from isopach.feeds import targets
from isopach.feeds.pace import Pace
from isopach.feeds.produce import main, produce
from isopach.feeds.sales_event_faults import BROKEN
from isopach.feeds.sales_events import Plan, day_events
from isopach.feeds.targets import KafkaTarget, SpoolTarget, TargetError, target

DAY = date(2026, 3, 8)
ROWS = 5_000
PLAN = Plan(rows=ROWS, partitions=3)


class FakeProducer:
    """Takes messages into lists, as the brokers would; delivers when polled."""

    def __init__(self, error: str | None = None, deaf: bool = False) -> None:
        self.partitions: dict[int, list[bytes]] = {}
        self.waiting: list[tuple[int, bytes, Any]] = []
        self.longest = 0
        self.error, self.deaf = error, deaf

    def __len__(self) -> int:
        return len(self.waiting)

    def produce_batch(
        self, topic: str, messages: list[dict[str, Any]], partition: int, on_delivery: Any
    ) -> int:
        assert topic == "sales"
        self.waiting += [(partition, message["value"], on_delivery) for message in messages]
        self.longest = max(self.longest, len(self.waiting))
        return len(messages)

    def poll(self, seconds: float) -> int:
        return self.flush(seconds) if seconds else 0

    def flush(self, seconds: float) -> int:
        for partition, value, on_delivery in [] if self.deaf else self.waiting:
            if self.error:
                on_delivery(self.error, FakeMessage(partition))
            else:
                self.partitions.setdefault(partition, []).append(value)
        if not self.deaf:
            self.waiting = []
        return len(self.waiting)


class FakeMessage:
    def __init__(self, number: int) -> None:
        self.number = number

    def partition(self) -> int:
        return self.number


def spooled(root: Path) -> dict[int, list[str]]:
    return {
        int(folder.name): [
            line for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()
        ]
        for folder in sorted((root / "sales").iterdir())
    }


def expected(**options: Any) -> dict[int, list[str]]:
    events = day_events(DAY, rows=ROWS, partitions=3, **options)
    return {partition: part.lines().to_list() for partition, part in events.by_partition()}


@pytest.mark.parametrize("faults", [False, True])
def test_a_spool_gets_each_partition_in_order(tmp_path: Path, faults: bool) -> None:
    plan = Plan(rows=ROWS, partitions=3, faults=faults)
    result = produce(SpoolTarget(tmp_path), [DAY], plan)
    assert spooled(tmp_path) == expected(faults=faults)
    truth = day_events(DAY, rows=ROWS, partitions=3, faults=faults).truth()
    assert (result.truth.events, result.truth.accepted) == (truth.events, truth.accepted)
    order = ["event_id", "kind", "position"]
    assert result.truth.faults.sort(order).equals(truth.faults.sort(order))


def test_the_truth_has_the_positions_of_the_spool(tmp_path: Path) -> None:
    plan = Plan(rows=ROWS, partitions=3, faults=True)
    produce(SpoolTarget(tmp_path), [DAY - timedelta(days=7)], PLAN)
    found = produce(SpoolTarget(tmp_path), [DAY, DAY + timedelta(days=1)], plan).truth.faults
    lines = spooled(tmp_path)
    whole = found.filter(
        ~pl.col("kind").is_in(["html", "cut_off"]) & pl.col("position").is_not_null()
    )
    assert whole["business_date"].n_unique() > 2
    for row in whole.iter_rows(named=True):
        line = json.loads(lines[row["partition"]][row["position"]])
        assert line["event_id"] == row["event_id"]


def test_kafka_gets_the_same_and_bytes_that_are_no_text() -> None:
    producer = FakeProducer()
    plan = Plan(rows=ROWS, partitions=3, faults=True)
    result = produce(KafkaTarget("here:9092", "sales", producer), [DAY], plan)
    lines = expected(faults=True, binary=True)
    bad = BROKEN.encode()
    assert producer.partitions == {
        partition: [line.encode().replace(bad, b"\xff") for line in part]
        for partition, part in lines.items()
    }
    broken = result.truth.faults.filter(kind="bad_utf8")
    assert broken.height > 0
    for row in broken.iter_rows(named=True):
        value = producer.partitions[row["partition"]][row["position"]]
        with pytest.raises(UnicodeDecodeError):
            value.decode()


def test_kafka_never_queues_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "QUEUED", 3_000)
    producer = FakeProducer()
    produce(KafkaTarget("here:9092", "sales", producer), [DAY], PLAN)
    assert producer.longest <= 3_000
    assert sum(map(len, producer.partitions.values())) == len(day_events(DAY, rows=ROWS))


def test_kafka_says_what_was_not_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = KafkaTarget("here:9092", "sales", FakeProducer(error="Unknown partition"))
    with pytest.raises(TargetError, match="topic 'sales', partition 0, at here:9092: Unknown"):
        produce(refusing, [DAY], PLAN)
    monkeypatch.setattr(targets, "FLUSH_SECONDS", 0.05)
    deaf = KafkaTarget("here:9092", "sales", FakeProducer(deaf=True))
    with pytest.raises(TargetError, match=r"\d+ messages not delivered .* brokers here:9092 ans"):
        produce(deaf, [DAY], PLAN)


def test_the_real_client_delivers_in_order() -> None:
    kafka = pytest.importorskip("confluent_kafka")
    cluster = kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none"})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    address = f"{broker.host}:{broker.port}"
    result = produce(target(f"kafka:{address}/sales"), [DAY], PLAN)
    assert read_back(kafka, address, result.truth.events) == expected()


def read_back(kafka: Any, address: str, messages: int) -> dict[int, list[str]]:
    """Return each partition's messages, in the order of their offsets."""
    consumer = kafka.Consumer({"bootstrap.servers": address, "group.id": "test"})
    consumer.assign([kafka.TopicPartition("sales", number, 0) for number in range(3)])
    found: list[Any] = []
    while len(found) < messages:
        some = consumer.consume(messages, timeout=10)
        assert some
        assert not any(message.error() for message in some)
        found += some
    consumer.close()
    lines: dict[int, list[str]] = {}
    for message in sorted(found, key=lambda one: (one.partition(), one.offset())):
        lines.setdefault(message.partition(), []).append(message.value().decode())
    return lines


def test_a_set_event_stops_it_with_everything_sent(tmp_path: Path) -> None:
    stop, results = threading.Event(), []

    def run() -> None:
        pace = Pace(rate=2_000)
        results.append(produce(SpoolTarget(tmp_path), [DAY], PLAN, pace=pace, stop=stop))

    thread = threading.Thread(target=run)
    thread.start()
    while not list(tmp_path.rglob("*.jsonl")):
        time.sleep(0.01)
    time.sleep(0.3)
    stop.set()
    thread.join(timeout=10)
    sent = spooled(tmp_path)
    whole = expected()
    assert 0 < sum(map(len, sent.values())) == results[0].truth.events < ROWS - 500
    for partition, lines in sent.items():
        assert lines == whole[partition][: len(lines)]


@pytest.mark.parametrize("rate", [2_000, 10_000])
def test_the_rate_is_kept(tmp_path: Path, rate: int) -> None:
    result = produce(SpoolTarget(tmp_path), [DAY], PLAN, pace=Pace(rate))
    assert result.truth.events == len(day_events(DAY, rows=ROWS))
    assert ROWS / rate * 0.9 < result.seconds < ROWS / rate * 2 + 2


def test_progress_is_reported_about_every_second(tmp_path: Path) -> None:
    reports: list[tuple[int, float]] = []
    produce(
        SpoolTarget(tmp_path),
        [DAY],
        PLAN,
        pace=Pace(2_000),
        report=lambda sent, seconds: reports.append((sent, seconds)),
    )
    assert 1 <= len(reports) <= 3
    assert 0 < reports[0][0] < ROWS
    assert reports[0][1] == pytest.approx(1, abs=0.5)


def test_events_can_happen_as_they_are_sent(tmp_path: Path) -> None:
    started = datetime.now(UTC)
    produce(SpoolTarget(tmp_path), [DAY], PLAN, pace=Pace(10_000), now=True)
    ended = datetime.now(UTC)
    for lines in spooled(tmp_path).values():
        times = [datetime.fromisoformat(json.loads(line)["sold_at"]) for line in lines]
        assert times == sorted(times)
        assert started <= times[0] <= times[-1] <= ended
        assert len(set(times)) > 5


def test_pace_with_bursts() -> None:
    assert [Pace(100).due(s) for s in (0, 0.5, 60)] == [0, 50, 6_000]
    pace = Pace(100, burst=10, burst_seconds=5)
    assert [pace.due(s) for s in (0, 30, 31, 35, 36, 60)] == [0, 3_000, 4_000, 8_000, 8_100, 10_500]
    assert [pace.due(s) for s in (90, 91)] == [13_500, 14_500]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": -1}, "rate=-1: give events per second"),
        ({"burst": 0.5}, r"burst=0\.5: give how many times as fast"),
        ({"burst_seconds": 31}, "burst_seconds=31: give 0 to 30"),
    ],
)
def test_a_pace_that_cannot_be_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pace(**options)


@pytest.mark.parametrize(
    "address", ["", "spool:", "kafka:here:9092", "kafka:/sales", "file:x", "x"]
)
def test_addresses_that_are_none_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is no target: give spool:DIR or kafka:BROKERS/TOPIC"):
        target(address)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = f"--date {DAY} --rows {ROWS} --partitions 3 --dead-site S003 --burst 2x"
    assert main([*options.split(), "--to", f"spool:{tmp_path}"]) == 0
    assert spooled(tmp_path) == expected(dead=["S003"])
    shown = capsys.readouterr()
    assert " events in " in shown.out
    assert " never_sent" in shown.out
    assert not shown.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--to nowhere", "'nowhere' is no target"),
        ("--to spool:{0} --burst fast", "'fast': give how many times, such as 10x"),
        ("--to spool:{0} --dead-site S3", "dead site 'S3' is not in"),
        ("--to spool:{0} --days 0", "no dates to replay"),
    ],
)
def test_bad_usage_ends_with_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--date", "2026-03-08", *options.format(tmp_path).split()])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_target_that_fails_ends_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["--date", "2026-03-08", "--to", f"spool:{tmp_path / 'file'}"]) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(tmp_path: Path, number: int) -> None:
    command = "-m isopach.feeds.produce --date 2026-03-08 --rate 1000 --to"
    process = subprocess.Popen(
        [sys.executable, *command.split(), f"spool:{tmp_path}"], stdout=subprocess.PIPE, text=True
    )
    while not list(tmp_path.rglob("*.jsonl")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, number)
    said, _ = process.communicate(timeout=10)
    sent = sum(map(len, spooled(tmp_path).values()))
    assert process.returncode == 0
    assert said.startswith(f"{sent:,} events in ")


def test_kafka_is_imported_only_where_used() -> None:
    code = "import sys, isopach.feeds.produce; sys.exit('confluent_kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
