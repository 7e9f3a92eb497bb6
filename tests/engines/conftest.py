"""Lets these tests import what they share with each other and with those of the pipelines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "jobs"))
sys.path.insert(0, str(Path(__file__).parents[1] / "pipelines"))
sys.path.insert(0, str(Path(__file__).parent))

from streaming import missing

ENGINES = ["micro-batch", "prism", "flink"]
LOGS = {"micro-batch": ["spool", "kafka"], "prism": ["spool", "kafka"], "flink": ["kafka"]}
"""What each is given to follow; Flink, slow to start, only what it is there for."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for an `engine` on each; for a `live` one on those that never end.

    One that asks for `fill` as well is run on each with its logs.
    """
    for name, engines in (("engine", ENGINES), ("live", ENGINES[1:])):
        if name not in metafunc.fixturenames:
            continue
        filled = "fill" in metafunc.fixturenames
        chosen = [
            pytest.param(*given, marks=[pytest.mark.engines] if one != "micro-batch" else [])
            for one in engines
            for given in ([(one, log) for log in LOGS[one]] if filled else [(one,)])
        ]
        names = [name, "fill"] if filled else [name]
        metafunc.parametrize(names, chosen, indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """The name of an engine that streams; skips where it cannot run."""
    if reason := missing(request.param):
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture
def live(request: pytest.FixtureRequest) -> str:
    """The name of an engine of the continuous cadence; skips where it cannot run."""
    if reason := missing(request.param):
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture(autouse=True)
def _options_known_to_the_engine_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "apache_beam.options.pipeline_options")


@pytest.fixture(scope="session")
def _spark_ends() -> Iterator[None]:
    yield
    from pyspark.sql import SparkSession

    if (session := SparkSession.getActiveSession()) is not None:
        session.stop()


@pytest.fixture
def spark(_spark_ends: None) -> Any:
    """The session of Spark with Delta in this process: to start one takes longer than a test."""
    pytest.importorskip("delta", reason="needs the extra [spark]")
    from isopach.jobs.spark.maintain import session

    return session([("spark.driver.memory", "1g")])
