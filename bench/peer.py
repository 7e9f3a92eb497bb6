"""The peers, and how each is started."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from bench.night import Night


@dataclass(frozen=True)
class Peer:
    """A program that consolidates a night: its module, and where under `--out` its table lies.

    One too slow for the whole night is given every `share`th part of the rows.
    """

    name: str
    module: str
    table: str = "."
    share: int = 1

    def command(self, night: Night, out: Path) -> list[str]:
        """Return the command that consolidates a night into `out`."""
        options = {"--landing": night.landing, "--date": night.day, "--out": out}
        flags = [str(word) for option in options.items() for word in option]
        return [sys.executable, "-m", self.module, *flags]


ALL = (
    Peer("isopach", "bench.peers.isopach_peer", table="sales/records"),
    Peer("polars", "bench.peers.polars_peer"),
    Peer("duckdb", "bench.peers.duckdb_peer"),
    Peer("pyspark", "bench.peers.pyspark_peer"),
    Peer("isopach-spark", "bench.peers.isopach_spark_peer", table="sales/records"),
    Peer("beam-rows", "bench.peers.beam_rows_peer", share=20),
)
REFERENCE = ALL[2]


def named(names: str) -> list[Peer]:
    """Return peers by comma-separated names; raises ValueError that lists the known ones."""
    known = {peer.name: peer for peer in ALL}
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"no peer called {', '.join(unknown)}: there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(wanted)]
