"""Kafka topics as logs, read from a real broker: every row once, and never a silent jump."""

from __future__ import annotations

import os
import pickle
import re
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.pipelines.kafka import KafkaLog, parse
from isopach.pipelines.kafka_settings import load_settings
from isopach.pipelines.logs import Bounds, LogError, Poll

if TYPE_CHECKING:
    from broker import Broker

PARTITIONS = 3
ROWS = 400
SECONDS = 60


@pytest.fixture
def topic() -> str:
    return f"t.{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def filled(broker: Broker) -> Iterator[KafkaLog]:
    """A topic of three partitions with 400 rows in each."""
    name = "filled"
    broker.create_topic(name, PARTITIONS)
    for partition in range(PARTITIONS):
        send(broker, name, [row(partition, n) for n in range(ROWS)], partition)
    log = KafkaLog(broker.address, name)
    yield log
    log.close()


def row(partition: int, number: int) -> str:
    return f'{{"partition": {partition}, "n": {number}}}'


def send(
    broker: Broker, topic: str, values: Sequence[Any], partition: int = 0, key: str | None = None
) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker.address})
    for value in values:
        producer.produce(topic, value, key=key, partition=partition)
    assert producer.flush(30) == 0


def transactions(broker: Broker, topic: str) -> Callable[[Sequence[str], str], Any]:
    """Return what writes values in a transaction and then commits, aborts or leaves it open."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": topic})
    producer.init_transactions(30)

    def write(values: Sequence[str], end: str) -> Any:
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value, partition=0)
        producer.flush(30)
        if end != "open":
            getattr(producer, f"{end}_transaction")(30)
        return producer

    return write


def delete_before(broker: Broker, topic: str, offset: int) -> None:
    from confluent_kafka import TopicPartition

    place = TopicPartition(topic, 0, offset)
    broker.admin.delete_records([place])[place].result(30)


def remake(broker: Broker, topic: str, values: Sequence[str]) -> None:
    broker.admin.delete_topics([topic])[topic].result(30)
    broker.settle(topic, 0)
    broker.create_topic(topic)
    send(broker, topic, values)


def polls(
    log: KafkaLog, source: str, end: int, position: int = 0, sizes: Sequence[int] = (100,)
) -> list[Poll]:
    """Read to an offset, with sizes in turn; every poll must follow the one before."""
    found: list[Poll] = []
    reads = 0
    until = time.monotonic() + SECONDS
    while position < end:
        assert time.monotonic() < until, f"stuck at {position} of {end}"
        poll = log.read(source, position, sizes[reads % len(sizes)])
        reads += poll is not None
        if poll is not None:
            assert (poll.source, poll.first) == (source, position)
            assert poll.next > position
            assert len(poll.lines) <= sizes[(reads - 1) % len(sizes)]
            found.append(poll)
            position = poll.next
    return found


def rows(found: Sequence[Poll]) -> list[tuple[int, str]]:
    return [
        (int(position), line)
        for poll in found
        for position, line in zip(poll.positions, poll.lines, strict=True)
    ]


def read_until_error(log: KafkaLog, source: str, position: int) -> str:
    """Read on until that fails; return the error's text."""
    until = time.monotonic() + SECONDS
    with pytest.raises(LogError) as caught:  # noqa: PT012
        while time.monotonic() < until:
            if poll := log.read(source, position, 100):
                position = poll.next
    return str(caught.value)


@settings(max_examples=25)
@given(
    partition=st.integers(0, PARTITIONS - 1),
    start=st.integers(0, ROWS - 1),
    sizes=st.lists(st.integers(1, ROWS), min_size=1, max_size=8),
)
def test_any_sizes_from_any_position_give_the_same_rows(
    filled: KafkaLog, partition: int, start: int, sizes: list[int]
) -> None:
    found = polls(filled, f"kafka/filled-{partition}", ROWS, start, sizes)

    assert rows(found) == [(n, row(partition, n)) for n in range(start, ROWS)]


def test_sources_and_bounds(filled: KafkaLog) -> None:
    assert filled.sources() == ["kafka/filled-0", "kafka/filled-1", "kafka/filled-2"]
    assert filled.bounds("kafka/filled-1") == Bounds(0, ROWS)


def test_nothing_yet_is_none_within_a_moment(filled: KafkaLog) -> None:
    assert filled.read("kafka/filled-0", ROWS, 10) is None
    start = time.monotonic()
    assert filled.read("kafka/filled-0", ROWS, 10) is None
    assert time.monotonic() - start < 5


def test_a_pickled_log_reads_and_has_no_secret(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("sasl.password = hunter2\n")
    log = KafkaLog(broker.address, "filled", str(file))
    log.sources()

    pickled = pickle.dumps(log)

    assert b"hunter2" not in pickled
    assert pickle.loads(pickled) == log
    log.close()


def test_a_forked_child_opens_its_own_and_leaves_its_parents(filled: KafkaLog) -> None:
    polls(filled, "kafka/filled-0", ROWS)
    with warnings.catch_warnings(action="ignore"):  # of threads, which the child does not use
        child = os.fork()
    if not child:
        os._exit(len(rows(polls(filled, "kafka/filled-0", ROWS))) != ROWS)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(polls(filled, "kafka/filled-0", ROWS, sizes=[ROWS])) >= 1


def test_reading_after_close_opens_again(filled: KafkaLog) -> None:
    polls(filled, "kafka/filled-0", 10, sizes=[10])
    filled.close()

    found = polls(filled, "kafka/filled-0", 20, 10, sizes=[10])

    assert rows(found)[0] == (10, row(0, 10))


def test_values_become_text_and_none_is_dropped(broker: Broker, topic: str) -> None:
    broker.create_topic(topic)
    send(broker, topic, ['{"a":\n1}', None, b"\xff\xfe{", "", "é\u2028"])
    log = KafkaLog(broker.address, topic)

    found = polls(log, f"kafka/{topic}-0", 5)

    lines = ['{"a":\n1}', "null", "\\xff\\xfe{", "", "é\u2028"]
    assert rows(found) == list(enumerate(lines))
    log.close()


def test_aborted_rows_are_left_out_and_their_offsets_carried(broker: Broker, topic: str) -> None:
    broker.create_topic(topic)
    write = transactions(broker, topic)
    write(["a", "b"], "commit")  # 0 1, and 2 for its end
    write(["x", "y", "z"], "abort")  # 3 4 5, 6
    write(["c"], "commit")  # 7, 8
    log = KafkaLog(broker.address, topic)

    found = polls(log, f"kafka/{topic}-0", 9, sizes=[1])

    assert rows(found) == [(0, "a"), (1, "b"), (7, "c")]
    assert found[-1].next == 9
    for start in range(9):
        again = rows(polls(log, f"kafka/{topic}-0", 9, start))
        assert again == [one for one in rows(found) if one[0] >= start]
    log.close()


def test_only_aborted_rows_give_a_poll_without_rows(broker: Broker, topic: str) -> None:
    broker.create_topic(topic)
    transactions(broker, topic)(["x"] * 50, "abort")
    log = KafkaLog(broker.address, topic)

    found = polls(log, f"kafka/{topic}-0", 51)

    assert rows(found) == []
    assert found[-1].next == 51
    log.close()


def test_an_open_transaction_is_not_there_until_it_is_committed(broker: Broker, topic: str) -> None:
    broker.create_topic(topic)
    write = transactions(broker, topic)
    write(["a"], "commit")
    producer = write(["b"], "open")
    log = KafkaLog(broker.address, topic)
    source = f"kafka/{topic}-0"

    assert log.bounds(source) == Bounds(0, 2)
    assert rows(polls(log, source, 2)) == [(0, "a")]
    assert log.read(source, 2, 10) is None

    producer.commit_transaction(30)
    assert rows(polls(log, source, 4, 2)) == [(2, "b")]
    assert log.bounds(source) == Bounds(0, 4)
    log.close()


def test_rows_that_retention_deleted_are_told(broker: Broker, topic: str) -> None:
    broker.create_topic(topic)
    send(broker, topic, ["a"] * 10)
    delete_before(broker, topic, 6)
    log = KafkaLog(broker.address, topic)
    source = f"kafka/{topic}-0"

    error = read_until_error(log, source, 2)

    assert f"{source}: offsets [2, 6) are gone" in error
    assert "retention" in error
    assert log.bounds(source) == Bounds(6, 10)
    assert len(rows(polls(log, source, 10, 6))) == 4
    log.close()


def test_rows_that_were_deleted_under_a_reader_are_told(broker: Broker, topic: str) -> None:
    broker.create_topic(topic)
    send(broker, topic, ["a"] * 5)
    log = KafkaLog(broker.address, topic)
    polls(log, f"kafka/{topic}-0", 5)
    log.close()
    send(broker, topic, ["b"] * 5)
    delete_before(broker, topic, 8)

    assert "offsets [5, 8) are gone" in read_until_error(log, f"kafka/{topic}-0", 5)
    log.close()


def test_a_position_beyond_the_end_is_told(broker: Broker, topic: str) -> None:
    broker.create_topic(topic)
    send(broker, topic, ["a"] * 3)
    log = KafkaLog(broker.address, topic)

    error = read_until_error(log, f"kafka/{topic}-0", 7)

    assert "offsets [3, 7) are gone" in error
    assert "made anew" in error
    log.close()


@pytest.mark.parametrize("count", [2, 20])
def test_a_topic_made_anew_under_a_reader_is_told(broker: Broker, topic: str, count: int) -> None:
    broker.create_topic(topic)
    send(broker, topic, ["old"] * 5)
    log = KafkaLog(broker.address, topic)
    polls(log, f"kafka/{topic}-0", 5)

    remake(broker, topic, ["new"] * count)

    assert "made anew" in read_until_error(log, f"kafka/{topic}-0", 5)
    log.close()


def test_a_pinned_log_knows_a_topic_made_anew_while_nobody_read(broker: Broker, topic: str) -> None:
    broker.create_topic(topic)
    send(broker, topic, ["old"] * 5)
    log = KafkaLog(broker.address, topic).pinned()
    log.close()

    remake(broker, topic, ["new"] * 20)

    assert "made anew" in read_until_error(log, f"kafka/{topic}-0", 5)
    log.close()


def test_a_topic_deleted_under_a_reader_is_told(broker: Broker, topic: str) -> None:
    broker.create_topic(topic)
    log = KafkaLog(broker.address, topic)
    assert log.read(f"kafka/{topic}-0", 0, 1) is None
    broker.admin.delete_topics([topic])[topic].result(30)
    broker.settle(topic, 0)

    with pytest.raises(LogError, match=rf"topic {topic}: UNKNOWN_TOPIC_OR_PART"):
        log.sources()
    log.close()


def test_gaps_of_a_compacted_topic_are_told(broker: Broker, topic: str) -> None:
    broker.create_topic(
        topic,
        config={
            "cleanup.policy": "compact",
            "segment.ms": "100",
            "min.cleanable.dirty.ratio": "0.001",
        },
    )
    log = KafkaLog(broker.address, topic)
    send(broker, topic, ["a", "b", "c"], key="same")
    assert len(rows(polls(log, f"kafka/{topic}-0", 3))) == 3

    error = read_until_compacted(broker, log, topic)

    assert f"kafka/{topic}-0: offsets [0, " in error
    assert "compacted" in error
    log.close()


def read_until_compacted(broker: Broker, log: KafkaLog, topic: str) -> str:
    """Write on, for only older segments are compacted, and read until rows are missing."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        send(broker, topic, ["d"], key="same")
        try:
            polls(log, f"kafka/{topic}-0", log.bounds(f"kafka/{topic}-0").end)
        except LogError as error:
            return str(error)
        time.sleep(0.2)
    raise AssertionError("nothing was compacted")


def test_new_partitions_are_found_and_read(broker: Broker, topic: str) -> None:
    from confluent_kafka.admin import NewPartitions

    broker.create_topic(topic)
    log = KafkaLog(broker.address, topic)
    assert log.sources() == [f"kafka/{topic}-0"]

    broker.admin.create_partitions([NewPartitions(topic, 2)])[topic].result(30)
    broker.settle(topic, 2)
    send(broker, topic, ["late"], partition=1)

    assert log.sources() == [f"kafka/{topic}-0", f"kafka/{topic}-1"]
    assert rows(polls(log, f"kafka/{topic}-1", 1)) == [(0, "late")]
    log.close()


def test_a_partition_that_is_not_there_is_told(filled: KafkaLog) -> None:
    with pytest.raises(LogError, match="topic filled: no partition 9, it has 3"):
        filled.bounds("kafka/filled-9")
    assert "kafka/filled-9" in read_until_error(filled, "kafka/filled-9", 0)


@pytest.mark.parametrize("source", ["kafka/other-0", "spool/0", "kafka/filled-x", "filled-0"])
def test_sources_of_others_are_refused(filled: KafkaLog, source: str) -> None:
    with pytest.raises(LogError, match="not a source of topic filled"):
        filled.read(source, 0, 1)


def test_a_negative_offset_is_refused(filled: KafkaLog) -> None:
    with pytest.raises(LogError, match="no offset -1"):
        filled.read("kafka/filled-0", -1, 1)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_that_restarts_is_waited_for(
    broker: Broker, tmp_path: Path, topic: str, end: str
) -> None:
    from broker import Broker as OwnBroker

    own = OwnBroker(tmp_path / "broker")
    try:
        own.start().create_topic(topic)
        send(own, topic, [row(0, n) for n in range(100)])
        log = KafkaLog(own.address, topic)
        found = polls(log, f"kafka/{topic}-0", 50, sizes=[50])

        getattr(own, end)()
        assert log.read(f"kafka/{topic}-0", 50, 50) is None  # fetched, but not to be checked
        own.start()
        send(own, topic, [row(0, n) for n in range(100, 150)])
        found += polls(log, f"kafka/{topic}-0", 150, found[-1].next)

        assert rows(found) == [(n, row(0, n)) for n in range(150)]
        assert log.bounds(f"kafka/{topic}-0") == Bounds(0, 150)
        log.close()
    finally:
        own.stop()


def test_corrupt_rows_are_told_and_not_left_out(broker: Broker, tmp_path: Path, topic: str) -> None:
    from broker import Broker as OwnBroker

    own = OwnBroker(tmp_path / "broker")
    try:
        own.start().create_topic(topic)
        for value in ("before", "corrupt", "after"):
            send(own, topic, [value])
        own.stop()
        (segment,) = (tmp_path / "broker" / "data" / f"{topic}-0").glob("*.log")
        segment.write_bytes(segment.read_bytes().replace(b"corrupt", b"Corrupt"))
        own.start()
        log = KafkaLog(own.address, topic)

        assert "BAD_MSG" in read_until_error(log, f"kafka/{topic}-0", 0)
        log.close()
    finally:
        own.stop()


def test_a_missing_topic_is_told_and_not_made(broker: Broker, topic: str) -> None:
    log = KafkaLog(broker.address, topic)

    for ask in (log.sources, lambda: log.bounds(f"kafka/{topic}-0")):
        with pytest.raises(LogError, match=rf"{topic}.*UNKNOWN_TOPIC.*create it"):
            ask()
    assert topic not in broker.admin.list_topics(timeout=30).topics
    log.close()


def test_an_unreachable_broker_is_told_in_time() -> None:
    log = KafkaLog("127.0.0.1:1", "sales", patience=1.0)

    for ask in (log.sources, lambda: log.bounds("kafka/sales-0")):
        with pytest.raises(LogError, match=r"127\.0\.0\.1:1 within 1 s.*check the address"):
            ask()
    assert log.read("kafka/sales-0", 0, 10) is None
    log.close()


def test_a_refused_sign_in_is_told_at_once(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"
        "sasl.username=me\nsasl.password=hunter2\n"
    )
    log = KafkaLog(broker.address, "filled", str(file))

    with pytest.raises(LogError, match=r"_AUTHENTICATION.*check the user") as caught:
        log.sources()
    assert "hunter2" not in str(caught.value)
    assert "_AUTHENTICATION" in read_until_error(log, "kafka/filled-0", 0)
    log.close()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("sasl.jaas.config=org.apache.kafka", "Java JAAS configuration is not supported"),
        ("no.such.thing=1", 'No such configuration property: "no.such.thing"'),
        ("security.protocol=tls", 'Invalid value "tls"'),
    ],
)
def test_a_setting_that_the_client_refuses_is_told(
    broker: Broker, tmp_path: Path, line: str, reason: str
) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(f"{line}\n")

    with pytest.raises(LogError, match=re.escape(f"{file}: {reason}")):
        KafkaLog(broker.address, "filled", str(file)).sources()


def test_settings_are_read(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# who\n! and how\n\nsasl.username = me\nsasl.password=a=b#c\\d\n")

    assert load_settings(file) == {"sasl.username": "me", "sasl.password": "a=b#c\\d"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hunter2", "write key=value"),
        ("=hunter2", "write key=value"),
        ("two words=hunter2", "write key=value"),
        ("sasl.password=hunter2\\", "on one line"),
        ("client.id=hunter2", "set twice"),
        ("bootstrap.servers=hunter2", "given with the source"),
        ("group.id=hunter2", "not yours to set"),
        ("enable.auto.commit=hunter2", "not yours to set"),
        ("auto.offset.reset=hunter2", "not yours to set"),
        ("isolation.level=hunter2", "not yours to set"),
    ],
)
def test_bad_settings_are_told_by_line_and_without_values(
    tmp_path: Path, line: str, reason: str
) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(f"client.id=isopach\n{line}\n")

    with pytest.raises(LogError, match=rf"kafka\.properties:2: .*{reason}") as caught:
        parse("kafka:localhost:9092/sales", str(file))
    assert "hunter2" not in str(caught.value)


def test_a_missing_settings_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"none\.properties: cannot be read"):
        load_settings(tmp_path / "none.properties")


@pytest.mark.parametrize(
    ("text", "brokers", "topic"),
    [
        ("kafka:localhost:9092/sales", "localhost:9092", "sales"),
        ("kafka:a:1,b.example:65535/x_y-z.1", "a:1,b.example:65535", "x_y-z.1"),
        ("kafka:[::1]:9092/sales", "[::1]:9092", "sales"),
    ],
)
def test_sources_are_parsed(text: str, brokers: str, topic: str) -> None:
    assert parse(text) == KafkaLog(brokers, topic)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("spool:a", "not a Kafka source"),
        ("kafka:localhost:9092", "not a Kafka source"),
        ("kafka:localhost/sales", "'localhost' is not a broker"),
        ("kafka:a:1,,b:2/sales", "'' is not a broker"),
        ("kafka:a:99999/sales", "'a:99999' is not a broker"),
        ("kafka:a:1/", "'' is not a topic"),
        ("kafka:a:1/..", r"'\.\.' is not a topic"),
        ("kafka:a:1/x/y", "'x/y' is not a topic"),
    ],
)
def test_bad_sources_are_told(text: str, reason: str) -> None:
    with pytest.raises(LogError, match=reason):
        parse(text)


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    monkeypatch.delitem(sys.modules, "confluent_kafka.admin", raising=False)

    with pytest.raises(LogError, match=r"pip install 'isopach\[kafka\]'"):
        KafkaLog("localhost:9092", "sales").sources()
