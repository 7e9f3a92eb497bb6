"""Streams killed with -9 while events come: the tables are those of a stream nobody disturbed.

`ISOPACH_KILLS` says how many kills; 9 if it is not set.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from children import KILLED, Forks
from small_night import ZONES
from small_stream import SmallStream, assert_same_streams, line

from isopach.feeds.spool import SpoolWriter
from isopach.jobs.failures import STOPPED

if TYPE_CHECKING:
    from broker import Broker

KILLS = int(os.environ.get("ISOPACH_KILLS", "9"))
SEED = 20260308
PARTITIONS = 2
BEGIN = datetime(2026, 3, 8, 12)
SITES = [*ZONES]
Send = Callable[[int, list[str]], None]
Rows = dict[tuple[str, int], str]
"""Lines by source and position."""


def events(partition: int) -> Iterator[str]:
    """Yield a partition's lines without end: good, malformed, late, and some that come again.

    An hour goes by in 360 lines, so that windows are closed one after the other.
    """
    draw, sent = random.Random(SEED + partition), list[str]()
    for number in range(1_000_000):
        at = BEGIN + timedelta(seconds=10 * number)
        chance = draw.random()
        if chance < 0.03:
            yield draw.choice(["{", "", "null", '{"id": "x"}'])
        elif chance < 0.08 and sent:
            yield draw.choice(sent[-500:])
        else:
            late = timedelta(days=2 if chance > 0.97 else 0)
            site = SITES[number % 4]
            moment = f"{at - late:%Y-%m-%dT%H:%M}"
            text = line(site, f"{partition}/{number}", moment, minutes=number % 3)
            sent.append(text)
            yield text


class Producer:
    """Sends events, some every few milliseconds, until told to stop."""

    def __init__(self, send: Send) -> None:
        self.send, self.stop = send, Event()
        self.events = [events(partition) for partition in range(PARTITIONS)]
        self._some(1)  # so that all sources are known from the first commit on
        self.thread = Thread(target=self._run)

    def _some(self, rows: int) -> None:
        for partition, lines in enumerate(self.events):
            self.send(partition, [next(lines) for _ in range(rows)])

    def _run(self) -> None:
        draw = random.Random(SEED)
        while not self.stop.wait(0.02):
            self._some(draw.randrange(1, 20))

    def __enter__(self) -> Producer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


class Spooled:
    """A spool that events are sent to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.writers = [
            SpoolWriter(root, "visits", f"{n}", file_rows=2000) for n in range(PARTITIONS)
        ]

    def send(self, partition: int, lines: list[str]) -> None:
        self.writers[partition].append(lines)

    def rows(self) -> Rows:
        """Return what the spool's files hold."""
        found: Rows = {}
        for file in self.root.glob("visits/*/*.jsonl"):
            for number, text in enumerate(file.read_text().split("\n")[:-1], int(file.stem)):
                found[f"spool/{file.parent.name}", number] = text
        return found

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


@pytest.fixture
def spooled(tmp_path: Path) -> Iterator[Spooled]:
    found = Spooled(tmp_path / "spool")
    yield found
    found.close()


def arguments(stream: SmallStream, source: str, *more: str) -> list[str]:
    """Return a command that streams a source into a lake, a commit as soon as the last is done."""
    declaration = str(stream.declaration.path)
    where = ["--source", source, "--lake", stream.lake.path]
    return ["stream", declaration, *where, "--every", "10ms", "--idle-after", "1h", *more]


def check(stream: SmallStream, sent: Rows) -> None:
    """Check from the tables that each position is there once, and that nothing else is."""
    assert stream.positions() == Counter(dict.fromkeys(sent, 1))
    records = stream.table("records").select("_source", "_position", "id")
    for source, position, id in records.iter_rows():
        assert json.loads(sent[source, position])["id"] == id
    rejected = stream.table("quarantine").filter(disposition="rejected")
    where = {*rejected.select("_source", "_position").iter_rows()}
    assert where == {place for place, text in sent.items() if '"clinic"' not in text}
    assert stream.findings() == []


def check_undisturbed(stream: SmallStream, source: str, forks: Forks) -> None:
    """Check that the tables are those of another lake, into which all was streamed at once."""
    other = stream.other_lake("undisturbed")
    assert forks.command(*arguments(other, source, "--until-idle")).code == 0
    assert other.findings() == []
    assert_same_streams(other.streamed(), stream.streamed())


def killed(stream: SmallStream, forks: Forks, source: str, kills: int = KILLS) -> list[int]:
    """Stream again and again, each time until killed, at any moment or before any step."""
    draw, codes = random.Random(SEED), list[int]()
    for number in range(kills):
        when: dict[str, Any] = (
            {"die": draw.randrange(1, 30)} if number % 2 else {"seconds": draw.uniform(0.05, 2.5)}
        )
        codes.append(forks.command(*arguments(stream, source), **when).code)
    return codes


@pytest.mark.slow
def test_killed_at_any_moments_while_events_come(
    forks: Forks, tmp_path: Path, spooled: Spooled
) -> None:
    stream, source = SmallStream.at(tmp_path), f"spool:{spooled.root}"
    with Producer(spooled.send):
        codes = killed(stream, forks, source)
    assert {*codes} == {KILLED}
    assert forks.command(*arguments(stream, source, "--until-idle")).code == 0
    check(stream, spooled.rows())
    assert stream.table("counts")["run"].n_unique() > KILLS / 3
    assert {*stream.table("quarantine")["disposition"]} == {"rejected", "late", "duplicate"}
    assert Counter(stream.table("runs")["outcome"].to_list())["killed"] > KILLS / 2
    check_undisturbed(stream, source, forks)


@pytest.mark.slow
def test_two_streams_at_once_that_are_killed_and_stopped(
    forks: Forks, tmp_path: Path, spooled: Spooled
) -> None:
    stream, source = SmallStream.at(tmp_path), f"spool:{spooled.root}"

    def again_and_again(seed: int) -> list[int]:
        draw = random.Random(SEED + seed)
        return [
            forks.command(
                *arguments(stream, source),
                seconds=draw.uniform(0.5, 3),
                by=draw.choice([signal.SIGKILL, signal.SIGINT]),
            ).code
            for _ in range(max(KILLS // 3, 1))
        ]

    with Producer(spooled.send), ThreadPoolExecutor(2) as pool:
        codes = [code for part in pool.map(again_and_again, range(2)) for code in part]
    assert {*codes} <= {KILLED, 0, STOPPED}
    assert forks.command(*arguments(stream, source, "--until-idle")).code == 0
    check(stream, spooled.rows())
    check_undisturbed(stream, source, forks)


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_lands_what_it_read_and_all_tables_have_it(
    forks: Forks, tmp_path: Path, spooled: Spooled, by: signal.Signals
) -> None:
    stream, source = SmallStream.at(tmp_path), f"spool:{spooled.root}"
    with Producer(spooled.send):
        assert forks.command(*arguments(stream, source), seconds=3, by=by).code == 0
    assert stream.findings() == []
    there = stream.positions()
    assert set(there.values()) == {1}
    assert there.total() > 2 * PARTITIONS
    assert stream.table("counts")["read"].sum() == there.total()
    assert stream.table("runs")["outcome"].to_list() == ["stopped"]
    assert forks.command(*arguments(stream, source, "--until-idle")).code == 0
    check(stream, spooled.rows())


class Topic:
    """A topic of a real broker that events are sent to."""

    def __init__(self, broker: Broker, name: str) -> None:
        from confluent_kafka import Producer as KafkaProducer

        self.broker, self.name = broker, name
        broker.create_topic(name, PARTITIONS)
        settings = {"bootstrap.servers": broker.address, "enable.idempotence": True}
        self.producer = KafkaProducer(settings, logger=Silent())

    @property
    def source(self) -> str:
        return f"kafka:{self.broker.address}/{self.name}"

    def send(self, partition: int, lines: list[str]) -> None:
        for text in lines:
            self.producer.produce(self.name, text, partition=partition)
        self.producer.poll(0)

    def rows(self) -> Rows:
        """Return what the topic holds."""
        from confluent_kafka import Consumer, TopicPartition

        assert self.producer.flush(60) == 0
        settings = {"bootstrap.servers": self.broker.address, "group.id": "check"}
        reader, found = Consumer(settings, logger=Silent()), dict[tuple[str, int], str]()
        for partition in range(PARTITIONS):
            place = TopicPartition(self.name, partition, 0)
            end = reader.get_watermark_offsets(place, timeout=30)[1]
            reader.assign([place])
            while (f"kafka/{self.name}-{partition}", end - 1) not in found:
                for message in reader.consume(1000, 5):
                    assert not message.error()
                    where = f"kafka/{self.name}-{partition}", message.offset()
                    found[where] = message.value().decode()
        reader.close()
        return found


class Silent:
    """Says nothing of what librdkafka tells while a broker is away."""

    def log(self, level: int, message: str, *values: object) -> None: ...


@pytest.mark.slow
def test_kafka_killed_at_any_moments_the_broker_too(
    broker: Broker, forks: Forks, tmp_path: Path
) -> None:
    from broker import Broker as OwnBroker

    stream = SmallStream.at(tmp_path)
    own = OwnBroker(tmp_path / "broker")
    try:
        topic = Topic(own.start(), "visits")
        with Producer(topic.send):
            codes = killed(stream, forks, topic.source, KILLS // 3)
            with ThreadPoolExecutor(1) as pool:
                running = pool.submit(forks.command, *arguments(stream, topic.source), seconds=10)
                time.sleep(2)
                own.kill()
                time.sleep(1)
                own.start()
                codes.append(running.result().code)
            codes += killed(stream, forks, topic.source, KILLS // 3)
        assert {*codes} == {KILLED}
        rows = topic.rows()
        assert forks.command(*arguments(stream, topic.source, "--until-idle")).code == 0
        check(stream, rows)
        check_undisturbed(stream, topic.source, forks)
    finally:
        own.stop()
