from __future__ import annotations

import importlib.util
import json
import shutil
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bench.__main__ as cli
from bench.stream import latency
from bench.stream import race as streams
from bench.stream.peer import ALL
from bench.stream.race import race
from bench.stream.topic import DAYS_BEFORE

BACKLOG, RATE, SECONDS = 2_000, 500, 3

no_java = pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("mvn")), reason="Kafka needs Java and Maven"
)
no_kafka = pytest.mark.skipif(
    importlib.util.find_spec("confluent_kafka") is None, reason="not installed: isopach[kafka]"
)
pytestmark = [no_java, no_kafka, pytest.mark.slow]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setattr(streams, "race", partial(race, cache=tmp_path / "cache"))
    monkeypatch.setattr(streams, "warm_up", lambda *_: None)
    monkeypatch.setattr(latency, "DAYS_BEFORE", DAYS_BEFORE[:1])
    monkeypatch.setattr(latency, "SETTLING", 1.0)
    return CliRunner()


@pytest.mark.engines
def test_peers_land_the_same_rows(command: CliRunner) -> None:
    able = [peer.name for peer in ALL if not peer.missing()]
    options = ["--rate", f"{RATE}", "--seconds", f"{SECONDS}", "--backlog", f"{BACKLOG}"]
    result = command.invoke(cli.app, ["stream", *options, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [one["name"] for one in found["latency"]] == able
    assert [one["name"] for one in found["drain"]] == able
    for one in found["latency"]:
        assert one["equal"] is True
        assert RATE * SECONDS * 0.9 < one["rows"] <= RATE * (SECONDS + 5)
        assert 0 < one["p50_seconds"] <= one["p99_seconds"] <= one["longest_seconds"]
    for one in found["drain"]:
        assert one["equal"] is True
        assert BACKLOG * 0.99 < one["rows"] <= BACKLOG
        assert 0 < one["seconds_to_first_commit"] <= one["seconds"]
        assert one["peak_mb"] > 50
