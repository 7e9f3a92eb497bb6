"""Nights and streams on Flink are those of this machine: in a job server, or sent to a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import isopach, refused
from sales_nights import DAY, SALES, assert_like_here, night, run_here
from small_night import assert_same, content
from streaming import missing, until

from isopach.feeds.produce import main as produce
from isopach.jobs.cluster import Cluster, cluster
from isopach.jobs.flink import cancel_jobs, running_jobs
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place

pytestmark = [
    pytest.mark.engines,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing("flink")), reason=missing("flink")),
]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a landing zone, and a lake `here` of the night on this machine."""
    return run_here(tmp_path_factory.mktemp("sent"))


@pytest.fixture(scope="module")
def flink() -> Iterator[Cluster]:
    """A cluster on which two subtasks run in two processes."""
    with cluster(2, slots=1) as running:
        yield running


def test_a_night_in_a_job_server(sent: Path) -> None:
    done = isopach(*night(sent, "server"), "--runner", "FlinkRunner")
    assert done.code == 3, done.err
    assert_like_here(sent, "server", "FlinkRunner")


def test_a_night_that_is_sent_to_a_cluster(sent: Path, flink: Cluster) -> None:
    asked = ["--on", "flink", "--master", flink.master, "--set", "parallelism=2"]
    done = isopach("submit", *night(sent, "cluster"), *asked)
    assert done.code == 3, done.err
    assert_like_here(sent, "cluster", "FlinkRunner")


def test_a_stream_that_is_sent_to_a_cluster_runs_on_there(tmp_path: Path, flink: Cluster) -> None:
    log, lake = f"spool:{tmp_path / 'spool'}", Place.of(tmp_path / "there")
    produce(["--date", f"{DAY}", "--rows", "2000", "--faults", "--to", log])
    here = ["--source", log, "--lake", tmp_path / "here", "--until-idle"]
    assert isopach("stream", "sales", *here).code == 0
    expected = scan(Place.of(tmp_path / "here"), tables.records("sales", SALES.feed.payload))
    rows = expected.collect().height
    asked = ["--on", "flink", "--master", flink.master, "--set", "parallelism=2"]
    stream = ["submit", "stream", "sales", "--source", log, "--lake", tmp_path / "there", *asked]
    done = isopach(*stream, "--json")
    assert done.code == 0, done.err
    name = done.document["job_name"]
    try:
        assert running_jobs(flink.master, name) == [done.document["job"]]
        assert "runs already, so nothing was sent" in refused(isopach(*stream), 1)
        records = tables.records("sales", SALES.feed.payload)
        until(lambda: scan(lake, records).collect().height == rows)
    finally:
        cancel_jobs(flink.master, name)
        until(lambda: not running_jobs(flink.master, name))
    assert (
        isopach("stream", "sales", "--source", log, "--lake", lake.path, "--until-idle").code == 0
    )
    assert isopach("verify", "sales", "--lake", lake.path).code == 0
    assert_same(content(lake, SALES), content(Place.of(tmp_path / "here"), SALES))


def test_a_cluster_that_is_not_there_is_named(sent: Path) -> None:
    asked = ["--on", "flink", "--master", "localhost:9"]
    said = refused(isopach("submit", *night(sent, "nowhere"), *asked), 1)
    assert said.startswith("localhost:9 does not answer")
    assert not (sent / "nowhere").exists()
