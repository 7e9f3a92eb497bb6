"""What all tests share: services, the order they run in, and no deadline for property tests."""

from __future__ import annotations

import os
import sys
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "services"))

from fixtures import broker, dataflow  # noqa: F401

# Most of what Java runs here ends before it has paid to compile it well; benchmarks pay.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
# Spark's own defaults are for many rows: these are for few.
os.environ.setdefault("SPARK_CONF_DIR", str(Path(__file__).parent / "services" / "few_rows"))

SHARED = ("spark", "forks")
"""Fixtures that take longer to start than most tests that use them."""

settings.register_profile("isopach", deadline=None)
settings.load_profile("isopach")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, dealt to the processes: none of them is left for last.

    xdist gives each process a run of tests, and has one that is done steal from another's end.
    Tests that share what is slow to start follow each other.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    files = [list(tests) for _, tests in groupby(sorted(items, key=_shared), key=_shared)]
    hands: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for tests in sorted(filter(_long, files), key=_long, reverse=True):
        min(hands, key=_long).extend(tests)
    short = [test for tests in files if not _long(tests) for test in tests]
    dealt: list[pytest.Item] = []
    for number, hand in enumerate(hands, 1):
        more = max(0, len(items) * number // processes - len(dealt) - len(hand))
        dealt += hand + short[:more]
        del short[:more]
    items[:] = dealt + short


def _shared(item: pytest.Item) -> str:
    """Return what a test shares with those that it is run with: a fixture, or its file."""
    used = {*getattr(item, "fixturenames", ())}
    return next((name for name in SHARED if name in used), str(item.path))


def _long(tests: list[pytest.Item]) -> int:
    """Return how many tests take long."""
    return sum(any(map(test.get_closest_marker, ("slow", "engines"))) for test in tests)
