"""Kafka topics as logs: partitions are sources, offsets are positions."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock

from isopach.pipelines.kafka_readers import Reader
from isopach.pipelines.kafka_settings import load_settings
from isopach.pipelines.kafka_topics import Topic
from isopach.pipelines.logs import Bounds, LogError, Poll

BROKER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
TOPIC = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,249}")
PREFIX = "kafka"


@dataclass(frozen=True)
class KafkaLog:
    """A topic's committed records; only the path of a file with secrets goes where this goes.

    Clients are opened where they are used, one for the topic and one for each source, and kept
    for the process. No consumer group is joined and nothing is stored with the brokers.

    Args:
        brokers: `host:port`, several with commas between.
        settings: path of a file of librdkafka settings, there wherever this is used.
        patience: seconds to wait for brokers that do not answer.
        identity: id of the topic; empty for the one that has the name when it is first used.
    """

    brokers: str
    topic: str
    settings: str | None = None
    patience: float = 30.0
    identity: str = ""

    def pinned(self) -> KafkaLog:
        """Return the log of the topic that has the name now, and of no later one; see `read`."""
        return replace(self, identity=self._topic().identity)

    def sources(self) -> Sequence[str]:
        """Return the partitions there are now; raises LogError if there is no such topic."""
        return [f"{PREFIX}/{self.topic}-{number}" for number in self._topic().partitions()]

    def bounds(self, source: str) -> Bounds:
        """Return a partition's first offset and the one after its last committed record."""
        return self._topic().bounds(self._partition(source))

    def since(self, source: str, moment: datetime) -> int:
        """Return the first offset whose timestamp is not before a moment; the end if there is none.

        Timestamps are the brokers' or the producers', as the topic's message.timestamp.type says.
        """
        return self._topic().since(self._partition(source), moment)

    def read(self, source: str, position: int, rows: int, *, wait: bool = True) -> Poll | None:
        """Return at most so many rows from an offset on; None if there are none yet.

        A poll without rows carries offsets of aborted records and of transactions' ends. Raises
        LogError where offsets are gone, for errors that waiting does not mend, and if the topic
        was made anew.
        """
        return self._reader(source).read(position, rows, wait)

    def close(self) -> None:
        """End the clients that this process has for the topic."""
        for reader in _taken(self):
            reader.close()

    def _topic(self) -> Topic:
        with _LOCK:
            key = (os.getpid(), self)
            if key not in _TOPICS:
                _TOPICS[key] = Topic(
                    self.brokers, self.topic, self.settings, self.patience, self.identity
                )
            return _TOPICS[key]

    def _reader(self, source: str) -> Reader:
        topic, partition = self._topic(), self._partition(source)
        with _LOCK:
            key = (os.getpid(), self, partition)
            if key not in _READERS:
                _READERS[key] = Reader(topic, partition)
            return _READERS[key]

    def _partition(self, source: str) -> int:
        start, _, number = source.rpartition("-")
        if start != f"{PREFIX}/{self.topic}" or not number.isdecimal():
            raise LogError(
                f"{source!r}: not a source of topic {self.topic}; its sources are "
                f"{PREFIX}/{self.topic}-0 and so on"
            )
        return int(number)


# By process, for a forked child must neither use nor close what its parent has open.
_TOPICS: dict[tuple[int, KafkaLog], Topic] = {}
_READERS: dict[tuple[int, KafkaLog, int], Reader] = {}
_LOCK = Lock()


def _taken(log: KafkaLog) -> list[Reader]:
    """Take what this process has open for a log out of what is kept; return its readers."""
    with _LOCK:
        _TOPICS.pop((os.getpid(), log), None)
        mine = [key for key in _READERS if key[:2] == (os.getpid(), log)]
        return [_READERS.pop(key) for key in mine]


def parse(text: str, settings: str | None = None) -> KafkaLog:
    """Return the log of `kafka:BROKERS/TOPIC`; raises LogError, also for a bad settings file."""
    scheme, _, rest = text.partition(":")
    brokers, slash, topic = rest.partition("/")
    if scheme != PREFIX or not slash:
        raise LogError(f"{text}: not a Kafka source; write kafka:HOST:PORT[,HOST:PORT…]/TOPIC")
    for broker in brokers.split(","):
        address = BROKER.fullmatch(broker)
        if not address or not 0 < int(address[2]) < 1 << 16:
            raise LogError(f"{text}: {broker!r} is not a broker; write HOST:PORT, as kafka:9092")
    if not TOPIC.fullmatch(topic):
        raise LogError(
            f"{text}: {topic!r} is not a topic's name; it has letters, digits, . _ and -, "
            "at most 249"
        )
    if settings is not None:
        load_settings(settings)
    return KafkaLog(brokers, topic, settings)
