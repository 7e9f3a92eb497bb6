"""A night on Spark is the night of this machine: by spark-submit, by a job server, with losses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from commands import isopach, refused
from sales_nights import DAY, SALES, assert_like_here, night, run_here
from small_night import assert_same, content
from spark import SparkCluster, kill, missing_spark, spark_cluster
from streaming import until

from isopach.feeds.produce import main as produce
from isopach.jobs.spark_submit import step_of
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place

pytestmark = [
    pytest.mark.engines,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_spark()), reason=missing_spark()),
]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a landing zone, and a lake `here` of the night on this machine."""
    return run_here(tmp_path_factory.mktemp("sent"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[SparkCluster]:
    with spark_cluster(2) as running:
        yield running


def test_a_night_by_spark_submit_that_memory_does_not_hold(sent: Path) -> None:
    asked = ["--on", "spark", "--master", "local[2,3]", "--set", "conf.spark.memory.fraction=0.002"]
    done = isopach("submit", *night(sent, "local"), *asked)
    assert done.code == 3, done.err
    assert_like_here(sent, "local", "SparkSubmit")


def test_a_night_on_a_cluster_that_loses_a_worker(sent: Path, cluster: SparkCluster) -> None:
    lost: list[int] = []

    def lose() -> None:
        until(cluster.busy)
        lost.append(cluster.busy()[0])
        kill(lost[0])

    killer = Thread(target=lose)
    killer.start()
    settings = sent / "spark.yaml"
    settings.write_text(
        json.dumps(
            {
                "master": cluster.master,
                "executors": 2,
                "executor_cores": 1,
                "executor_memory": "600m",
                "driver_memory": "1g",
                "partitions": 4,
            }
        )
    )
    done = isopach("submit", *night(sent, "cluster"), "--on", "spark", "--settings", settings)
    assert done.code == 3, done.err
    killer.join()
    assert lost
    assert_like_here(sent, "cluster", "SparkSubmit")


def test_nights_and_micro_batches_share_a_job_server(sent: Path) -> None:
    done = isopach(*night(sent, "server"), "--runner", "SparkRunner")
    assert done.code == 3, done.err
    assert_like_here(sent, "server", "SparkRunner")


def test_micro_batches_on_spark_land_what_they_land_here(tmp_path: Path) -> None:
    log = f"spool:{tmp_path / 'spool'}"
    produce(["--date", f"{DAY}", "--rows", "2000", "--faults", "--to", log])
    for lake, runner in (("there", "SparkRunner"), ("here", "FnApiRunner")):
        asked = ["--source", log, "--until-idle", "--lake", tmp_path / lake, "--runner", runner]
        done = isopach("stream", "sales", *asked)
        assert done.code == 0, done.err
        assert isopach("verify", "sales", "--lake", tmp_path / lake).code == 0
    there, here = (content(Place.of(tmp_path / lake), SALES) for lake in ("there", "here"))
    assert_same(there, here)


def test_a_job_that_fails_says_why_and_leaves_nothing(sent: Path, tmp_path: Path) -> None:
    asked = ["--on", "spark", "--master", "local[1]", "--set", "workers.command=/no/such/worker"]
    said = refused(isopach("submit", *night(sent, "failed"), *asked, "--set", "retries=0"), 1)
    why = 'java.io.IOException: Cannot run program "/no/such/worker": error=2, No such file'
    assert said.startswith(f"job isopach-nightly-sales-20260308 failed: {why}")
    lake = Place.of(sent / "failed")
    assert scan(lake, tables.RUNS).collect()["outcome"][0].startswith("failed: SubmitError: ")
    assert scan(lake, tables.records("sales", SALES.feed.payload)).collect().is_empty()


def test_the_step_is_that_of_the_last_task() -> None:
    line = "INFO TaskSetManager: Finished task {} in stage {}.0 (TID 4) in 9 ms on h ({}/6)\n"
    assert step_of("Running Spark version 3.5.9\n") == ""
    said = line.format("0.0", 3, 1) + line.format("5.0", 3, 2)
    assert step_of(said) == "Spark's stage 3: 2 of 6 tasks"
