from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bench.__main__ as cli
from bench import on_spark
from bench.measure import Measured, measure
from bench.night import prepare
from bench.peer import REFERENCE, Peer, named
from bench.race import race
from bench.report import figures, section
from bench.result import Race, Result, Run, extrapolated


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture
def command(cache: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setattr(cli, "race", partial(race, cache=cache))
    monkeypatch.setattr(cli, "warm_up", lambda peers, say: None)
    return CliRunner()


def test_memory_is_that_of_the_whole_process_tree() -> None:
    child = "import time; hold = b'x' * 150_000_000; time.sleep(0.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    measured = measure([sys.executable, "-c", parent])
    assert measured.code == 0
    assert measured.seconds > 0.5
    assert measured.peak_mb > 150
    assert 150 < measured.private_mb <= measured.peak_mb


def test_start_up_is_not_multiplied() -> None:
    measured = Measured(1000.0, 5.0, 0, 0, 0, '{"ready_at": 1002.0}\n', "")
    assert extrapolated(measured, 20) == 2 + 20 * 3
    assert extrapolated(measured, 1) == 5


def test_a_night_is_made_once(cache: Path) -> None:
    night = prepare(1000, "hot", cache=cache)
    before = sorted(night.landing.rglob("*.parquet"))
    assert prepare(1000, "hot", cache=cache) == night
    assert sorted(night.landing.rglob("*.parquet")) == before
    assert 980 < night.accepted < 1000
    assert not list(cache.glob("nights/draft-*"))


def test_the_command_prints_the_documented_json(command: CliRunner) -> None:
    options = ["nightly", "--rows", "4000", "--shape", "uniform", "--peers", "polars,beam-rows"]
    result = command.invoke(cli.app, [*options, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["rows"], document["shape"]) == (4000, "uniform")
    assert [found["name"] for found in document["results"]] == ["polars", "beam-rows"]
    for found in document["results"]:
        assert {"name", "seconds", "peak_mb", "equal"} <= found.keys()
        assert found["equal"] is True
    assert document["results"][1]["extrapolated_from_rows_divided_by"] == 20


def test_a_failing_peer_fails_the_command_and_is_explained(
    command: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "named", lambda names: [Peer("broken", "bench.peers.broken")])
    result = command.invoke(cli.app, ["nightly", "--rows", "1000", "--peers", "broken"])
    assert result.exit_code == 1
    assert "NO" in result.stdout
    assert "No module named bench.peers.broken" in result.stdout


def test_a_peer_with_other_rows_fails_the_command(
    command: CliRunner, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = prepare(1200, "zipf", cache=cache)
    measure(REFERENCE.command(prepare(1100, "zipf", cache=cache), night.reference))
    result = command.invoke(cli.app, ["nightly", "--rows", "1200", "--peers", "polars", "--json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)["results"][0]
    assert found["equal"] is False
    assert "rows missing" in found["error"]


def test_an_unknown_peer_is_bad_usage(command: CliRunner) -> None:
    result = command.invoke(cli.app, ["nightly", "--peers", "polars,dask"])
    assert result.exit_code == 2
    assert "no peer called dask" in result.stderr
    with pytest.raises(
        ValueError, match="there are isopach, polars, duckdb, pyspark, isopach-spark"
    ):
        named("dask")


def test_all_writes_the_page(command: CliRunner, tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    options = ["all", "--rows", "1000", "--flat-rows", "2000", "--peers", "polars,duckdb"]
    page.write_text("# Results\n\n## Nights\n\nold\n\n## Streams\n\nkept\n")
    result = command.invoke(cli.app, [*options, "--no-streams", "--to", str(page)])
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert text.startswith("# Results\n\n## Nights\n\nMeasured")
    assert text.endswith("\n\n## Streams\n\nkept\n")
    for shape in ("uniform", "zipf", "hot"):
        assert f"### 1,000 rows, {shape}" in text
        assert f"python -m bench nightly --rows 1000 --shape {shape} --peers polars,duckdb" in text


def raced(rows: int, shape: str, **peers: tuple[float, float]) -> Race:
    """Return a race from each peer's seconds and peak memory."""
    results = (Result(name, (Run(*numbers, 0.0),)) for name, numbers in peers.items())
    return Race(rows, shape, tuple(results))


def test_the_page_tells_the_promised_figures() -> None:
    few, ten, thirty = 1_000_000, 10_000_000, 30_000_000
    races = [
        raced(few, "zipf", isopach=(2.0, 90.0), polars=(1.0, 90.0)),
        raced(ten, "uniform", isopach=(4.0, 100.0), polars=(5.0, 90.0)),
        raced(ten, "zipf", isopach=(6.0, 200.0), polars=(5.0, 90.0), pyspark=(15.0, 90.0)),
        raced(ten, "hot", isopach=(5.0, 100.0)),
        raced(thirty, "zipf", isopach=(9.0, 220.0)),
    ]
    assert figures(races) == [
        ("isopach / polars, seconds, 1,000,000 rows, zipf", "2.00", "-"),
        ("isopach / polars, seconds, 10,000,000 rows, uniform", "0.80", "≤ 1.3"),
        ("isopach / polars, seconds, 10,000,000 rows, zipf", "1.20", "≤ 1.3"),
        ("isopach / pyspark, seconds, 10,000,000 rows, zipf", "0.40", "≤ 0.5"),
        ("isopach, one site with half of 10,000,000 rows / uniform, seconds", "1.25", "≤ 1.15"),
        ("isopach, peak memory at 30,000,000 / 10,000,000 rows, zipf", "1.10", "≤ 1.2"),
    ]
    assert "| isopach | 6.00 | 1.00 |" in section(races, ["python -m bench nightly"])


def test_a_failed_run_gives_no_ratio() -> None:
    failed = Result("isopach", (Run(1.0, 1, 1), Run(1.0, 1, 1, "exit 1: no disk")))
    found = Race(10, "zipf", (failed, Result("polars", (Run(2.0, 1, 1),))))
    assert not found.equal
    assert found.ratio("isopach", "polars") is None
    assert failed.document()["error"] == "exit 1: no disk"


def test_start_up_is_left_out_of_the_ratio_on_spark() -> None:
    least = raced(20_000, "uniform", pyspark=(10.0, 1.0), **{"isopach-spark": (12.0, 1.0)})
    night = raced(10_000_000, "hot", pyspark=(30.0, 1.0), **{"isopach-spark": (27.0, 1.0)})
    assert on_spark.figures(least, [night]) == [
        ("isopach-spark / pyspark, seconds, 10,000,000 rows, hot", "0.90", "≤ 1.0"),
        ("the same, start-up left out, 10,000,000 rows, hot", "0.75", "≤ 1.0"),
    ]
    assert on_spark.without(night, least) is None
    text = on_spark.section(least, [night], "python -m bench spark")
    assert "### 10,000,000 rows, hot" in text
