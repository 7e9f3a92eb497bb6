"""The stream by Isopach on Prism, continuously: this process becomes its command line."""

from __future__ import annotations

import os
import sys

from bench.peers.isopach_micro_peer import command
from bench.peers.stream_task import parse

EVERY = "200ms"

if __name__ == "__main__":
    options = ["--cadence", "continuous", "--engine", "prism", "--every", EVERY]
    os.execv(sys.executable, command(parse(), options))
