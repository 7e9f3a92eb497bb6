"""The stream's work as every peer is given it on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StreamTask:
    """Land a topic's events in a Delta table at `out`, until interrupted or until all are there."""

    brokers: str
    topic: str
    out: Path
    until_idle: bool

    @property
    def source(self) -> str:
        """Return the topic's address as Isopach writes it."""
        return f"kafka:{self.brokers}/{self.topic}"


def parse(arguments: Sequence[str] | None = None) -> StreamTask:
    """Read a task from the command line."""
    parser = argparse.ArgumentParser(description="Land a stream of sales.")
    parser.add_argument("--brokers", required=True, help="host:port of a Kafka broker")
    parser.add_argument("--topic", required=True, help="topic with one JSON object a message")
    parser.add_argument("--out", type=Path, required=True, help="where the Delta table goes")
    parser.add_argument("--until-idle", action="store_true", help="end when all has landed")
    args = parser.parse_args(arguments)
    return StreamTask(args.brokers, args.topic, args.out, args.until_idle)
