"""Streams on engines, of which now this and now that is killed with -9: each row lands once.

Drivers, engines alone, brokers and task managers are killed while events come; cadence and engine
change from one run to the next, and what an engine remembered is gone each time. `ISOPACH_KILLS`
says how many kills; 5 if it is not set, none of which is of Flink that follows Kafka.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest
from children import KILLED, Ended, Forks
from jars import missing_tools
from small_stream import SmallStream
from test_stream_kills import Producer, Rows, Spooled, Topic, arguments, check, check_undisturbed

from isopach.jobs.cluster import cluster
from isopach.jobs.failures import STOPPED

KILLS = int(os.environ.get("ISOPACH_KILLS", "5"))
SEED = 20260317
ENGINES = ("prism", "flink", "micro-batch")
SOON = 120.0
LONGEST = 300.0
"""Seconds that a driver may live: what a failed test leaves behind is gone then."""

pytestmark = [pytest.mark.engines, pytest.mark.slow]
seldom = pytest.mark.skipif(
    "ISOPACH_KILLS" not in os.environ, reason="takes minutes: only with ISOPACH_KILLS set"
)


@pytest.fixture(autouse=True, scope="module")
def _tools() -> None:
    from isopach.jobs.engines import EngineError, find_tool
    from isopach.jobs.flink_jars import find_jars
    from isopach.jobs.prism import find_prism

    try:
        find_prism()
        find_tool("java", "Flink runs on it", "install Java 17")
        find_jars()
    except EngineError as error:
        pytest.skip(str(error))


@pytest.fixture
def spooled(tmp_path: Path) -> Iterator[Spooled]:
    found = Spooled(tmp_path / "spool")
    yield found
    found.close()


def until(happened: Callable[[], object], what: str) -> None:
    end = monotonic() + SOON
    while not happened():
        assert monotonic() < end, f"no {what} in {SOON} s"
        sleep(0.05)


def commits(stream: SmallStream) -> int:
    """Return how many commits the records have, after the one that makes the table."""
    return len([*Path(stream.lake.path).glob("visits/records/_delta_log/*[1-9]*.json")])


class Driver:
    """`isopach stream` in a forked child, with the engine that it starts."""

    def __init__(
        self, stream: SmallStream, forks: Forks, source: str, engine: str, pool: ThreadPoolExecutor
    ) -> None:
        self.stream, self.engine = stream, engine
        on = [] if engine == "micro-batch" else ["--cadence", "continuous", "--engine", engine]
        command = arguments(stream, source, "--every", "100ms", *on)
        before = children(forks)
        self.over: Future[Ended] = pool.submit(forks.command, *command, seconds=LONGEST)
        until(lambda: children(forks) - before, "child")
        (self.process,) = children(forks) - before

    def engines(self) -> list[psutil.Process]:
        """Return the processes that take jobs, or run them; none before they are started."""
        return [p for p in self.process.children() if p.name() in ("prism", "java")]

    def lands(self, more: int = 1) -> None:
        """Wait until it has landed, as it still runs, that much more."""
        wanted = commits(self.stream) + more
        until(
            lambda: self.over.done() or commits(self.stream) >= wanted, f"landing on {self.engine}"
        )
        assert not self.over.done(), self.over.result()

    def starts_again(self, dead: psutil.Process) -> None:
        """Wait until it has another engine in the place of one."""
        until(
            lambda: self.over.done() or any(p.pid != dead.pid for p in self.engines()),
            f"new {self.engine}",
        )

    def kill(self, by: signal.Signals = signal.SIGKILL) -> int:
        """Send it a signal; return its exit code, once its engine is gone as well."""
        others = self.process.children(recursive=True)
        self.process.send_signal(by)
        code = self.over.result(SOON).code
        assert psutil.wait_procs(others, SOON)[1] == []
        return code


def children(forks: Forks) -> set[psutil.Process]:
    return {child for fork in forks.all for child in psutil.Process(fork.pid).children()}


@contextmanager
def driving(stream: SmallStream, forks: Forks, source: str, engine: str) -> Iterator[Driver]:
    """Run a driver; it is killed at the end if it still runs."""
    with ThreadPoolExecutor(1) as pool:
        driver = Driver(stream, forks, source, engine, pool)
        try:
            yield driver
        finally:
            if not driver.over.done():
                driver.kill()


def killed(
    stream: SmallStream,
    forks: Forks,
    source: str,
    kills: int,
    engines: tuple[str, ...] = ENGINES,
    seed: int = SEED,
) -> Counter[str]:
    """Kill drivers on changing engines, and engines alone; return how often which."""
    draw, done = random.Random(seed), Counter[str]()
    for engine in cycle(engines):
        if done.total() >= kills and {*done} >= {f"driver of {one}" for one in engines}:
            break
        with driving(stream, forks, source, engine) as driver:
            if draw.random() < 0.25:
                sleep(draw.uniform(0, 5))  # the engine may not even have started
            else:
                driver.lands(draw.randrange(1, 5))
                sleep(draw.uniform(0, 0.5))
                if engine != "micro-batch" and draw.random() < 0.5:
                    (process,) = driver.engines()
                    process.kill()
                    done[f"{engine} alone"] += 1
                    driver.starts_again(process)
                    driver.lands(draw.randrange(1, 5))
            assert driver.kill() == KILLED
            done[f"driver of {engine}"] += 1
    return done


def check_all(stream: SmallStream, source: str, rows: Rows, forks: Forks) -> None:
    """Land the rest, and check that the lake is that of a stream that nobody disturbed."""
    assert forks.command(*arguments(stream, source, "--until-idle")).code == 0
    check(stream, rows)
    check_undisturbed(stream, source, forks)


def test_drivers_and_engines_are_killed(forks: Forks, tmp_path: Path, spooled: Spooled) -> None:
    stream, source = SmallStream.at(tmp_path), f"spool:{spooled.root}"
    with Producer(spooled.send):
        done = killed(stream, forks, source, max(KILLS * 5 // 8, 3))
    assert done["prism alone"] + done["flink alone"] > 0
    on = arguments(stream, source, "--cadence", "continuous", "--until-idle")
    assert forks.command(*on, seconds=LONGEST).code == 0
    assert stream.findings() == []
    check_all(stream, source, spooled.rows(), forks)


def test_the_broker_is_killed_and_then_drivers(forks: Forks, tmp_path: Path) -> None:
    pytest.importorskip("confluent_kafka", reason="not installed: isopach[kafka]")
    if reason := missing_tools():
        pytest.skip(f"no Kafka broker: {reason}")
    from broker import Broker

    stream, own = SmallStream.at(tmp_path), Broker(tmp_path / "broker")
    try:
        topic = Topic(own.start(), "visits")
        with Producer(topic.send):
            for engine in ("prism", "flink")[: max(KILLS // 8, 1)]:
                with driving(stream, forks, topic.source, engine) as driver:
                    driver.lands(3)
                    own.kill()
                    sleep(1)
                    own.start()
                    driver.lands(3)
                    assert driver.kill(signal.SIGINT) == 0
            engines = ENGINES if KILLS >= 8 else ("prism", "micro-batch")
            killed(stream, forks, topic.source, KILLS // 8, engines, SEED + 1)
        check_all(stream, topic.source, topic.rows(), forks)
    finally:
        own.stop()


@seldom
def test_a_task_manager_is_killed_and_then_the_driver(
    forks: Forks, tmp_path: Path, spooled: Spooled
) -> None:
    stream, source = SmallStream.at(tmp_path), f"spool:{spooled.root}"
    with Producer(spooled.send), cluster(2, slots=1) as servers:
        flink = f"flink:{servers.master}"
        with driving(stream, forks, source, flink) as driver:
            driver.lands(3)
            busy = [psutil.Process(pid) for pid in servers.task_managers]
            max(busy, key=lambda process: process.cpu_times().user).kill()
            sleep(1)
            driver.lands(3)
            assert driver.kill() == KILLED
        with driving(stream, forks, source, flink) as driver:
            driver.lands(3)
            assert driver.kill(signal.SIGINT) == 0
    check_all(stream, source, spooled.rows(), forks)


@pytest.mark.parametrize(
    ("asleep", "other"),
    [("prism", "micro-batch"), pytest.param("flink", "prism", marks=seldom)],
)
def test_a_driver_wakes_up_beside_another(
    forks: Forks, tmp_path: Path, spooled: Spooled, asleep: str, other: str
) -> None:
    stream, source = SmallStream.at(tmp_path), f"spool:{spooled.root}"
    with Producer(spooled.send), driving(stream, forks, source, asleep) as sleeper:
        sleeper.lands(3)
        sleeper.process.suspend()
        with driving(stream, forks, source, other) as driver:
            driver.lands(5)
            sleeper.process.resume()
            driver.lands(10)
            assert driver.kill() == KILLED
        sleeper.lands(3)  # it has the log to itself again
        assert sleeper.kill(signal.SIGINT) in (0, STOPPED)
    check_all(stream, source, spooled.rows(), forks)
