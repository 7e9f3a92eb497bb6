"""The peers of the stream, and how each is started."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.services import missing_tools, spark_jars
from bench.stream.topic import Topic


def nothing_missing() -> str:
    """Return that a peer needs no more than Python."""
    return ""


def missing_for_spark() -> str:
    """Return why Spark cannot run here; copies its jars."""
    try:
        if reason := missing_tools():
            return reason
        spark_jars()
    except RuntimeError as error:
        return str(error)
    return ""


def missing_for_prism() -> str:
    """Return why Prism cannot run here; builds it if need be."""
    from isopach.jobs.engines import EngineError
    from isopach.jobs.prism import find_prism

    try:
        find_prism()
    except EngineError as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class StreamPeer:
    """A program that lands a topic: its module, and where under `--out` its table lies.

    `missing` says why it cannot run on this machine; empty if it can.
    """

    name: str
    module: str
    table: str = "."
    missing: Callable[[], str] = nothing_missing

    def command(self, topic: Topic, out: Path, *, until_idle: bool = False) -> list[str]:
        """Return the command that lands a topic under `out`."""
        options = {"--brokers": topic.brokers, "--topic": topic.name, "--out": out}
        flags = [str(word) for option in options.items() for word in option]
        ending = ["--until-idle"] if until_idle else []
        return [sys.executable, "-m", self.module, *flags, *ending]


LAKE = "sales/records"
MICRO, CONTINUOUS, PLAIN, SPARK = "isopach-micro", "isopach-continuous", "plain-loop", "spark"
ALL = (
    StreamPeer(MICRO, "bench.peers.isopach_micro_peer", LAKE),
    StreamPeer(CONTINUOUS, "bench.peers.isopach_continuous_peer", LAKE, missing_for_prism),
    StreamPeer(PLAIN, "bench.peers.plain_loop_peer"),
    StreamPeer(SPARK, "bench.peers.spark_stream_peer", missing=missing_for_spark),
)


def named(names: str) -> list[StreamPeer]:
    """Return peers by comma-separated names; raises ValueError that lists the known ones."""
    known = {peer.name: peer for peer in ALL}
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"no peer called {', '.join(unknown)}: there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(wanted)]
