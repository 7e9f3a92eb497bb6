"""A Kafka topic as its brokers describe it: partitions, offsets, and which topic it is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from datetime import datetime
from functools import cached_property
from typing import Any

from isopach.pipelines.kafka_settings import client_settings, confluent_kafka, connected
from isopach.pipelines.logs import Bounds, LogError

LOOK_SECONDS = 0.05
TRANSIENT = {
    "_TRANSPORT",
    "_ALL_BROKERS_DOWN",
    "_DESTROY_BROKER",  # a broker's connection was closed while an answer was waited for
    "_RESOLVE",
    "_TIMED_OUT",
    "_TIMED_OUT_QUEUE",
    "_WAIT_CACHE",
    "_WAIT_COORD",
    "_NODE_UPDATE",
    "_NOENT",  # no leader
    "BROKER_NOT_AVAILABLE",
    "FENCED_LEADER_EPOCH",
    "KAFKA_STORAGE_ERROR",
    "LEADER_NOT_AVAILABLE",
    "NETWORK_EXCEPTION",
    "NOT_CONTROLLER",
    "NOT_LEADER_FOR_PARTITION",
    "OFFSET_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "REQUEST_TIMED_OUT",
    "UNKNOWN_LEADER_EPOCH",
    # Those of a group's coordinator: we keep nothing with a group.
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "GROUP_AUTHORIZATION_FAILED",
    "NOT_COORDINATOR",
}
ADVICE = {
    "UNKNOWN_TOPIC_OR_PART": "create it, or correct the name in the source",
    "_UNKNOWN_TOPIC": "create it, or correct the name in the source",
    "_UNKNOWN_PARTITION": "a topic never loses partitions, so this may be another of the same name",
    "TOPIC_AUTHORIZATION_FAILED": "grant this user Read and Describe on the topic",
    "_AUTHENTICATION": "check the user and secret in the file of source settings",
    "SASL_AUTHENTICATION_FAILED": "check the user and secret in the file of source settings",
    "_SSL": "check the certificates and security.protocol in the file of source settings",
    "_LOG_TRUNCATION": "the brokers lost rows that were read; settle with them what is true",
}


class Topic:
    """A topic, asked about through one client; knows it again if it is made anew."""

    def __init__(
        self, brokers: str, name: str, settings: str | None, patience: float, identity: str
    ) -> None:
        self.name = name
        self.brokers = brokers
        self.settings_file = settings
        self.settings = client_settings(brokers, settings)
        self._patience = patience
        self._errors: deque[Any] = deque(maxlen=1)
        self._identity = identity
        self._admin = connected(
            confluent_kafka(".admin").AdminClient, self.settings, settings, self._errors.append
        )

    @property
    def identity(self) -> str:
        """Which topic this is among those of its name; empty with brokers before Kafka 2.8."""
        self._description(self._patience)
        return self._identity

    def partitions(self) -> list[int]:
        """Return the numbers of the partitions there are now."""
        return sorted(one.id for one in self._description(self._patience).partitions)

    def bounds(self, partition: int) -> Bounds:
        """Return first offset and end; the end is before an open transaction."""
        if partition not in (there := self.partitions()):
            raise LogError(
                f"topic {self.name}: no partition {partition}, it has {len(there)}; a topic never "
                "loses partitions, so this may be another of the same name"
            )
        kinds = confluent_kafka(".admin").OffsetSpec
        return Bounds(
            self._offset(partition, kinds.earliest()), self._offset(partition, kinds.latest())
        )

    def since(self, partition: int, moment: datetime) -> int:
        """Return the first offset whose timestamp is not before a moment; the end if none is."""
        kinds = confluent_kafka(".admin").OffsetSpec
        found = self._offset(partition, kinds.for_timestamp(int(moment.timestamp() * 1000)))
        return found if found >= 0 else self.bounds(partition).end

    @cached_property
    def compacted(self) -> bool:
        """Whether records may be removed from between others."""
        resource = confluent_kafka(".admin").ConfigResource("topic", self.name)
        told = self._ask(
            lambda admin, seconds: admin.describe_configs([resource], request_timeout=seconds),
            f"the settings of topic {self.name}",
            self._patience,
        )
        return "compact" in told["cleanup.policy"].value

    def check_same(self, seconds: float) -> None:
        """Raise LogError if the topic was made anew since it was first asked about."""
        self._description(seconds)

    def fatal(self, error: Any, what: str) -> LogError:
        """Return what to raise for an error that waiting does not mend."""
        name = error.name()
        advice = ADVICE.get(name, "see what the brokers log about it")
        return LogError(f"{what}: {name}: {error.str()} (brokers {self.brokers}); {advice}")

    def _description(self, seconds: float) -> Any:
        names = confluent_kafka().TopicCollection([self.name])
        told = self._ask(
            lambda admin, left: admin.describe_topics(names, request_timeout=left),
            f"topic {self.name}",
            seconds,
        )
        identity = str(told.topic_id)
        self._identity = self._identity or identity
        if identity != self._identity:
            raise LogError(
                f"topic {self.name} was deleted and made anew: its id was {self._identity}, now it "
                f"is {identity}, and offsets start over; load it under another feed or topic name"
            )
        return told

    def _offset(self, partition: int, kind: Any) -> int:
        asked = confluent_kafka().TopicPartition(self.name, partition)
        level = confluent_kafka().IsolationLevel.READ_COMMITTED
        told = self._ask(
            lambda admin, seconds: admin.list_offsets(
                {asked: kind}, isolation_level=level, request_timeout=seconds
            ),
            f"kafka/{self.name}-{partition}",
            self._patience,
        )
        return int(told.offset)

    def _ask(self, ask: Callable[[Any, float], dict[Any, Any]], what: str, seconds: float) -> Any:
        """Return an answer; ask again after errors that pass; raises LogError."""
        until = time.monotonic() + seconds
        self._admin.poll(0)
        self._errors.clear()  # they were of an earlier time
        while (left := until - time.monotonic()) > 0:
            try:
                (future,) = ask(self._admin, left).values()
                return self._answer(future)
            except confluent_kafka().KafkaException as error:
                (cause,) = error.args
                if cause.name() not in TRANSIENT:
                    raise self.fatal(cause, what) from error
            time.sleep(LOOK_SECONDS)
        raise UnansweredError(
            f"{what}: no answer from brokers {self.brokers} within {seconds:.0f} s"
            f"{_told(self._errors)}; check the address, that they run, and the source settings"
        )

    def _answer(self, future: Future[Any]) -> Any:
        """Wait for an answer, but not on after an error that waiting does not mend."""
        while True:
            try:
                return future.result(LOOK_SECONDS)
            except NotYetError:
                self._admin.poll(0)
            if self._errors and self._errors[-1].name() not in TRANSIENT:
                raise confluent_kafka().KafkaException(self._errors.pop())


class UnansweredError(LogError):
    """Brokers that gave no answer in time."""


def _told(errors: Sequence[Any]) -> str:
    return f" ({errors[-1].str()})" if errors else ""
