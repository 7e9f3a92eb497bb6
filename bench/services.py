"""What the tests start services with, for races too: a Kafka broker, and jars copied by Maven."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from bench.measure import ROOT

SERVICES = ROOT / "tests" / "services"  # modules there name each other without a package
SPARK_KAFKA = ROOT / "bench" / "spark-kafka" / "pom.xml"


class Broker(Protocol):
    """A Kafka broker that runs on this machine."""

    @property
    def address(self) -> str:
        """`host:port`."""
        ...

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic and wait until it can be written."""
        ...


@contextmanager
def kafka(folder: Path) -> Iterator[Broker]:
    """Run a broker with its data in a folder."""
    broker = _module("broker").Broker(folder)
    try:
        yield broker.start()
    finally:
        broker.stop()


def missing_tools() -> str:
    """Return why no service in Java can run here; empty if they can."""
    found: str = _module("jars").missing_tools()
    return found


def spark_jars() -> list[str]:
    """Return the paths of Spark's jars for Kafka and Delta; raises RuntimeError without them."""
    jars = _module("jars")
    try:
        folder: Path = jars.copied_jars(SPARK_KAFKA)
    except jars.ServiceError as error:
        raise RuntimeError(str(error)) from error
    return [str(path) for path in sorted(folder.glob("*.jar"))]


def _module(name: str) -> Any:
    if str(SERVICES) not in sys.path:
        sys.path.append(str(SERVICES))
    return import_module(name)
