"""The engines of the continuous cadence: found, started, given a stream, killed."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen

import apache_beam as beam
import counting
import grpc
import psutil
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.stager import Stager
from apache_beam.runners.runner import PipelineResult

from isopach.jobs.built import built
from isopach.jobs.cluster import Cluster, cluster
from isopach.jobs.engines import UNBOUNDED, Engine, EngineError, find_tool, portable
from isopach.jobs.flink import flink
from isopach.jobs.flink_jars import archive_of, find_jars
from isopach.jobs.prism import STAGE, find_prism, mended, prism

SOON = 90.0
STATE_TABLE = "org.apache.flink.runtime.state.heap.CopyOnWriteStateTable"
Start = Callable[[], AbstractContextManager[Engine]]
engines = pytest.mark.engines


@pytest.fixture(autouse=True)
def _options_known_to_the_engine_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "apache_beam.options.pipeline_options")


def until(happened: Callable[[], bool], seconds: float = SOON) -> None:
    end = monotonic() + seconds
    while not happened():
        assert monotonic() < end, f"not in {seconds} s"
        sleep(0.05)


def written(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@contextmanager
def counting_on(
    engine: Engine, path: Path, count: int, pause: float = 0
) -> Iterator[PipelineResult]:
    pipeline = beam.Pipeline(options=PipelineOptions([*UNBOUNDED, *engine.options]))
    counting.build(pipeline, path, count, step=1000, pause=pause)
    yield pipeline.run()


@engines
@pytest.mark.parametrize("start", [prism, flink])
def test_every_number_arrives_once(start: Start, tmp_path: Path) -> None:
    counting.SEEN.clear()
    path = tmp_path / "numbers"
    with start() as engine, counting_on(engine, path, 20_000) as job:
        until(lambda: len(written(path)) >= 20_000)
        if engine.name == "flink":
            mapped = Path(f"/proc/{engine.pid}/maps").read_text()
            assert str(archive_of(find_jars())) in mapped, "classes come from the archive"
        sleep(1)  # more would come now, if any came twice
        job.cancel()
        assert job.state == "CANCELLED"
    assert sorted(written(path)) == list(range(20_000))
    assert set(counting.SEEN.values()) == {os.getpid()}
    assert not psutil.pid_exists(engine.pid)
    assert not engine.log.exists()


@engines
def test_flink_keeps_nothing_of_a_source_that_goes_on_later(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    with flink() as engine, counting_on(engine, path, 1 << 40, pause=0.05) as job:
        until(lambda: len(written(path)) > 1000)
        first, tables = len(written(path)), states_in(engine)
        until(lambda: len(written(path)) > first + 100_000)  # asked a hundred times
        assert states_in(engine) == tables
        job.cancel()


def states_in(engine: Engine) -> int:
    """Return how many kinds of state Flink keeps in its heap."""
    jcmd = find_tool("jcmd", "it tells what is in Flink's heap", "install a JDK 17")
    command = [jcmd, str(engine.pid), "GC.class_histogram"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (line,) = (line for line in shown.splitlines() if line.endswith(f" {STATE_TABLE}"))
    return int(line.split()[1])


@engines
@pytest.mark.parametrize("start", [prism, flink])
def test_a_job_ends_with_its_engine(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    with start() as engine, counting_on(engine, path, 1 << 40, pause=0.1) as job:
        until(lambda: len(written(path)) > 0)
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(grpc.RpcError):
            job.wait_until_finish()


@engines
def test_an_engine_ends_with_its_launcher(tmp_path: Path) -> None:
    program = (
        "from isopach.jobs.prism import prism\n"
        "with prism() as engine:\n    print(engine.pid, flush=True)\n    input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as launcher:
        assert launcher.stdout
        pid = int(launcher.stdout.readline())
        launcher.kill()
    until(lambda: not psutil.pid_exists(pid) or _is_gone(pid))


def _is_gone(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module")
def servers() -> Iterator[Cluster]:
    with cluster(2, slots=1) as running:
        yield running


@engines
def test_a_cluster_does_not_keep_the_job_of_an_engine_that_ended(
    servers: Cluster, tmp_path: Path
) -> None:
    ended = states(servers.master)
    with (
        flink(servers.master) as engine,
        counting_on(engine, tmp_path / "numbers", 1 << 40, pause=0.1),
    ):
        until(lambda: len(written(tmp_path / "numbers")) > 0)
    until(lambda: sorted(states(servers.master)) == sorted([*ended, "CANCELED"]))


def states(master: str) -> list[str]:
    with urlopen(f"http://{master}/jobs", timeout=10) as answer:
        return [job["status"] for job in json.load(answer)["jobs"]]


@engines
def test_a_cluster_outlives_a_task_manager(servers: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    with (
        flink(servers.master) as engine,
        counting_on(engine, path, 60_000, pause=0.1) as job,
    ):
        until(lambda: len(written(path)) > 10_000)
        busy = max(servers.task_managers, key=lambda pid: psutil.Process(pid).cpu_times().user)
        os.kill(busy, signal.SIGKILL)
        until(lambda: len(set(written(path))) >= 60_000)
        job.cancel()
    assert set(written(path)) == set(range(60_000))


def test_pip_is_not_asked_what_is_installed_for_workers_in_this_process(tmp_path: Path) -> None:
    options = PipelineOptions([*UNBOUNDED, *portable("localhost:1")])
    assert Stager.create_job_resources(options, str(tmp_path)) == []


def test_what_cannot_be_built_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ISOPACH_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"go is not on the PATH.*install Go"):
        find_prism(print)
    with pytest.raises(EngineError, match=r"mvn is not on the PATH.*install Apache Maven"):
        find_jars(print)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_prism_is_built_without_its_fault(tmp_path: Path) -> None:
    asked = "\t\tcase <-progTick.C:\n"
    fault = f"\tselect {{\n{asked}\t\t\tticked = true\n"
    stage = tmp_path / "beam" / STAGE
    stage.parent.mkdir(parents=True)
    stage.write_text(fault)
    for name in ("go.mod", "go.sum"):
        (tmp_path / "beam" / name).touch()
    made = (mended(tmp_path / "beam", tmp_path / "made") / STAGE).read_text()
    assert made.startswith(f"\tselect {{\n{asked}\t\t\tif wk == nil {{\n")
    assert made.endswith("\t\t\t\tcontinue progress\n\t\t\t}\n\t\t\tticked = true\n")
    assert stage.read_text() == fault


def test_a_failed_start_says_where_its_log_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    broken = tmp_path / "prism"
    broken.write_text("#!/bin/sh\necho no such luck\nexit 3\n")
    broken.chmod(0o755)
    with (
        pytest.raises(EngineError, match=r"(?s)prism ended with 3 .*no such luck") as caught,
        prism(broken),
    ):
        pass
    log = Path(str(caught.value).split("see ")[1].split(",")[0])
    assert log.read_text() == "no such luck\n"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="nowhere is not a program"), prism(tmp_path / "nowhere"):
        pass


def test_what_failed_to_build_is_built_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ISOPACH_CACHE", str(tmp_path))

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise EngineError("half way")

    with pytest.raises(EngineError, match="half way"):
        built("thing", fail)
    folder = built("thing", lambda folder: (folder / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]
    assert built("thing", fail) == folder


def test_processes_build_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ISOPACH_CACHE", str(tmp_path / "cache"))
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom isopach.jobs.built import built\n"
        "def build(folder):\n"
        "    time.sleep(0.5)\n    open(sys.argv[1], 'a').write('built\\n')\n"
        "print(built('thing', build))"
    )
    builds = tmp_path / "builds"
    both = [subprocess.Popen([sys.executable, "-c", program, builds]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert builds.read_text() == "built\n"
