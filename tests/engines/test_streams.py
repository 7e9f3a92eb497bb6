"""Streams on every engine and from every log: the same rows land in the same tables."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import psutil
import pytest
from jars import missing_tools
from small_night import DAY, declare
from small_stream import STREAM, SmallStream, assert_same_streams, line
from streaming import Filled, FilledSpool, FilledTopic, Lake, missing

from isopach.feeds.load import Declaration, load_declaration
from isopach.feeds.sales_event_faults import BROKEN
from isopach.feeds.sales_events import Events, Plan, day_events, replay
from isopach.pipelines.watching import LATE_ROWS, PANES

NEXT = DAY + timedelta(1)
PARTITIONS = 3
WHERE = ["partition", "position"]
Fill = Callable[..., Filled]


@pytest.fixture
def fill(request: pytest.FixtureRequest, tmp_path: Path) -> Fill:
    """Return what makes an empty log of a kind: of a feed, with so many partitions."""
    if request.param == "spool":
        return lambda feed, partitions: FilledSpool(tmp_path / "spool", feed, partitions)
    broker = request.getfixturevalue("broker")
    return lambda feed, partitions: FilledTopic(broker, feed, partitions)


@pytest.fixture
def spool(tmp_path: Path) -> FilledSpool:
    return FilledSpool(tmp_path / "spool", "visits", 2)


@pytest.fixture(scope="module")
def sales() -> Declaration:
    return load_declaration("sales")


@pytest.fixture
def visits(tmp_path: Path) -> Lake:
    return Lake.at(tmp_path, declare(tmp_path, STREAM))


@pytest.fixture(scope="module")
def events() -> Events:
    return day_events(DAY, rows=5000, faults=True, partitions=PARTITIONS, binary=True)


def send_all(events: Events, filled: Filled) -> None:
    for partition, some in events.by_partition():
        filled.send(partition, as_sent(some))


def as_sent(events: Events) -> list[bytes]:
    return [one.encode().replace(BROKEN.encode(), b"\xff") for one in events.lines()]


@pytest.fixture(scope="module")
def expected(
    sales: Declaration, events: Events, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, pl.DataFrame]:
    """What the events become in many micro-batches."""
    folder = tmp_path_factory.mktemp("expected")
    filled = FilledSpool(folder / "spool", "sales", PARTITIONS)
    send_all(events, filled)
    lake = Lake.at(folder, sales)
    lake.drain(filled, "micro-batch", rows=700)
    return lake.content()


def check_truth(content: dict[str, pl.DataFrame], events: Events) -> None:
    """Check that every event is where its truth says, by partition and position."""
    truth = events.truth()
    placed = (pl.col("_source").cast(pl.Int64).alias("partition"), pl.col("_position"))
    refused = truth.faults.filter(pl.col("disposition") != "accepted")
    told = content["quarantine"].select(*placed, "disposition", "reason")
    assert sorted(told.rows()) == sorted(refused.select(*WHERE, "disposition", "reason").rows())
    sent = events.rows.select(*WHERE).with_columns(line=events.lines())
    good = sent.join(refused, on=WHERE, how="anti", nulls_equal=True)
    ids = [(p, n, json.loads(text)["event_id"]) for p, n, text in good.rows()]
    assert sorted(content["records"].select(*placed, "event_id").rows()) == sorted(ids)
    assert content["records"].height == truth.accepted


def test_sales_events_with_all_known_faults(
    engine: str, fill: Fill, sales: Declaration, events: Events, expected: Any, tmp_path: Path
) -> None:
    filled, lake = fill("sales", PARTITIONS), Lake.at(tmp_path, sales)
    send_all(events, filled)
    done = lake.drain(filled, engine, **({"parallelism": 2} if engine == "flink" else {}))
    assert done.outcome == "idle"
    assert sum(done.rows.values()) == len(events)
    assert lake.findings() == []
    check_truth(lake.content(), events)
    assert_same_streams(lake.content(), expected)


# Windows of New York: DAY ends on 9 March at 04:00 UTC, and is closed two hours later; rows may
# be ten minutes out of order.
def own(site: str, id: str, at: str) -> str:
    return line(site, id, f"2026-03-{at}")


def progress(lake: Lake, site: str, day: date = DAY) -> str | None:
    found = lake.table("windows").filter(site=site, business_date=day)["progress"]
    return found[0] if len(found) else None


def aside(lake: Lake) -> list[tuple[str, str]]:
    return sorted(lake.table("quarantine").select("key", "reason").iter_rows())


def rows_of(lake: Lake, site: str, day: date = DAY) -> int:
    return int(lake.table("windows").filter(site=site, business_date=day)["rows"].sum())


def test_late_rows_change_what_is_open_and_are_set_aside_from_what_is_closed(
    engine: str, spool: FilledSpool, visits: Lake, tmp_path: Path
) -> None:
    with visits.streaming(spool, engine) as running:
        spool.send(0, [own("nyc", "a", "08T12:00"), own("nyc", "clock0", "09T03:59")])
        spool.send(1, [own("nyc", "b", "08T12:00"), own("nyc", "clock1", "09T03:59")])
        running.until(lambda: progress(visits, "nyc") == "open")
        spool.send(0, [own("nyc", "clock2", "09T04:10")])
        running.until(lambda: visits.positions().total() == 5)
        spool.send(1, [own("nyc", "clock3", "09T04:09")])  # the slowest decides
        running.until(lambda: visits.positions().total() == 6)
        assert progress(visits, "nyc") == "open"
        spool.send(1, [own("nyc", "clock4", "09T04:10")])
        running.until(lambda: progress(visits, "nyc") == "complete")
        before = visits.content()
        spool.send(0, [own("nyc", "allowed", "08T13:00")])
        running.until(lambda: rows_of(visits, "nyc") == 5)
        after = visits.content()
    assert aside(visits) == []
    assert visits.findings() == []
    for name in ("records", "totals_all", "totals_by_minutes", "counts"):
        assert not after[name].equals(before[name])
    total = after["totals_all"].filter(site="nyc", business_date=DAY)
    assert total["visits"].to_list() == [5]

    night = SmallStream(tmp_path, visits.declaration)
    night.deliver("nyc", [json.loads(own("nyc", "n", "09T16:00"))], day=NEXT)
    assert night.run(NEXT, only=frozenset({"nyc"})).outcome == "published"
    assert visits.positions().total() == 5
    with visits.streaming(spool, engine) as running:  # which has nothing of the engine's state
        spool.send(0, [own("nyc", "settled", "09T16:00"), own("nyc", "early0", "08T14:00")])
        running.until(lambda: visits.positions().total() == 7)
        assert progress(visits, "nyc") == "complete"
        spool.send(1, [own("nyc", "early1", "08T14:00"), own("pago", "clock5", "09T06:10")])
        spool.send(1, [own("nyc", "late", "08T14:00")])
        running.until(lambda: progress(visits, "nyc") == "closed")
        running.until(lambda: visits.positions().total() == 10)
    assert visits.findings() == []
    assert aside(visits) == [
        ("early0", "window_closed"),
        ("late", "window_closed"),
        ("settled", "window_settled"),
    ]
    assert progress(visits, "pago") == "open"


def test_a_partition_without_rows_does_not_hold_windows_open_for_ever(
    engine: str, spool: FilledSpool, visits: Lake
) -> None:
    now = datetime.now(UTC)
    old = now - timedelta(days=6)
    moment, day = f"{old:%Y-%m-%dT%H:%M}", old.astimezone(ZoneInfo("America/New_York")).date()
    spool.send(0, [line("nyc", f"{n}", f"{now:%Y-%m-%dT%H:%M}") for n in range(3)])
    spool.send(1, [line("nyc", "a", moment)])
    visits.drain(spool, engine)
    assert progress(visits, "nyc", day) == "open"
    with visits.streaming(spool, engine, idle_after=1) as running:
        running.until(lambda: progress(visits, "nyc", day) == "closed")
        spool.send(1, [line("nyc", "b", moment)])
        running.until(lambda: visits.positions().total() == 5)
    assert aside(visits) == [("b", "window_closed")]
    assert visits.findings() == []


def test_live_counts_are_those_of_the_commits(
    live: str, fill: Fill, sales: Declaration, tmp_path: Path
) -> None:
    filled, lake = fill("sales", PARTITIONS), Lake.at(tmp_path, sales)
    plan = Plan(rows=2000, faults=True, partitions=PARTITIONS, binary=True)
    with lake.streaming(filled, live) as running:
        sent = 0
        for events in replay([DAY, DAY + timedelta(1), DAY + timedelta(5)], plan):
            for first in range(0, len(events), 600):
                send_all(events.slice(first, 600), filled)
                sent += len(events.slice(first, 600))
                running.until(lambda: lake.positions().total() > sent - 1200)  # noqa: B023
        running.until(lambda: lake.positions().total() == sent)
        running.until(lambda: shown() == counted(lake), 40)
    assert shown() == counted(lake)
    assert sum(LATE_ROWS.values()) > 5
    assert {pane.timing for pane in PANES.values()} == {"early", "on_time", "late"}


def shown() -> Counter[tuple[str, date]]:
    """Return the rows of each window that the engine counted, with those it had closed out."""
    panes = {window[1:]: pane.rows for window, pane in PANES.copy().items()}
    late = {window[1:]: rows for window, rows in LATE_ROWS.copy().items()}
    return Counter(panes) + Counter(late)


def counted(lake: Lake) -> Counter[tuple[str, date]]:
    """Return the rows read of each window of a known site, by the ledger's counts."""
    known = lake.table("counts").drop_nulls(["site", "business_date"])
    found = known.select("site", "business_date", "read").rows()
    sites = lake.declaration.sites
    return sum((Counter({(s, d): n}) for s, d, n in found if s in sites), Counter())


def test_partitions_that_are_added_are_read(engine: str, fill: Fill, visits: Lake) -> None:
    filled = fill("visits", 1)
    with visits.streaming(filled, engine) as running:
        filled.send(0, [own("nyc", f"0/{n}", "08T12:00") for n in range(5)])
        running.until(lambda: visits.positions().total() == 5)
        filled.grow(3)
        filled.send(2, [own("pago", f"2/{n}", "08T12:00") for n in range(7)])
        filled.send(0, [own("nyc", "0/5", "08T12:00")])
        running.until(lambda: visits.positions().total() == 13)
        filled.send(1, [own("nyc", "1/0", "08T12:00")])
        running.until(lambda: visits.positions().total() == 14)
    (done,) = running.summaries
    assert done.fences == {filled.source(0): 6, filled.source(1): 1, filled.source(2): 7}
    assert visits.findings() == []


def test_a_partition_that_lost_rows_holds_up_no_other_and_is_told(
    engine: str, fill: Fill, visits: Lake
) -> None:
    filled = fill("visits", 2)
    for partition in range(2):
        filled.send(partition, [own("nyc", f"{partition}/{n}", "08T12:00") for n in range(3)])
    assert visits.drain(filled, engine).stuck == {}
    for partition in range(2):
        filled.send(partition, [own("nyc", f"{partition}/{n}", "08T12:00") for n in range(3, 6)])
        filled.send(partition, [own("nyc", f"{partition}/{n}", "08T12:00") for n in range(6, 9)])
    filled.lose(1, before=6)
    done = visits.drain(filled, engine)
    assert done.outcome == "stuck"
    assert {*done.stuck} == {filled.source(1)}
    assert "[3, 6) are gone" in done.stuck[filled.source(1)]
    assert done.fences == {filled.source(0): 9, filled.source(1): 3}
    assert visits.positions().total() == 12
    assert visits.table("runs").sort("started")["outcome"].to_list() == ["idle", "stuck"]
    assert visits.findings() == []


@pytest.mark.parametrize("name", ["micro-batch", pytest.param("prism", marks=pytest.mark.engines)])
def test_a_broker_that_is_away_for_longer_than_it_is_waited_for_ends_no_stream(
    name: str, visits: Lake, tmp_path: Path
) -> None:
    if reason := missing(name):
        pytest.skip(reason)
    pytest.importorskip("confluent_kafka", reason="not installed: isopach[kafka]")
    if reason := missing_tools():
        pytest.skip(f"no Kafka broker: {reason}")
    from broker import Broker

    service = Broker(tmp_path / "broker")
    try:
        filled = FilledTopic(service.start(), "visits", 2, patience=1)
        with visits.streaming(filled, name) as running:
            filled.send(0, [own("nyc", "0/0", "08T12:00")])
            running.until(lambda: visits.positions().total() == 1)
            service.kill()
            sleep(6)
            running.check()
            service.start()
            filled.send(0, [own("nyc", "0/1", "08T12:00")])
            filled.send(1, [own("nyc", "1/0", "08T12:00")])
            running.until(lambda: visits.positions().total() == 3)
    finally:
        service.stop()
    assert visits.findings() == []


@pytest.mark.engines
def test_cadence_and_engine_are_changed_while_events_come(
    spool: FilledSpool, visits: Lake, tmp_path: Path
) -> None:
    for name in ("prism", "flink"):
        if reason := missing(name):
            pytest.skip(reason)
    sent = 0

    def send(rows: int) -> None:
        nonlocal sent
        for partition in range(2):
            ids = [f"{partition}/{n}" for n in range(sent, sent + rows)]
            spool.send(partition, ["{", *(own("nyc", id, "08T12:00") for id in ids)])
        sent += rows

    def stored() -> int:
        return visits.positions().total()

    send(10)
    for name in ("micro-batch", "prism", "flink", "micro-batch"):
        with visits.streaming(spool, name) as running:
            for _ in range(3):
                send(10)
                running.until(lambda: stored() == sum(spool.ends.values()))
            send(10)  # what it has not read when it is stopped is for the next one
    visits.drain(spool, "micro-batch")
    once = {(f"spool/{p}", n): 1 for p, end in spool.ends.items() for n in range(end)}
    assert visits.positions() == once
    assert visits.findings() == []
    ran = visits.table("runs").sort("started")["engine"].to_list()
    assert ran == ["FnApiRunner", "prism", "flink", "FnApiRunner", "FnApiRunner"]

    night = SmallStream(tmp_path, visits.declaration)
    ids = [f"{partition}/{n}" for partition in range(2) for n in range(sent)]
    night.deliver("nyc", [json.loads(own("nyc", id, "08T12:00")) for id in ids])
    assert night.run(only=frozenset({"nyc"})).outcome == "published"
    assert visits.findings() == []
    assert night.states() == {("nyc", DAY): "settled"}
    assert visits.table("records")["_mode"].to_list() == ["batch"] * len(ids)


def test_a_signal_lands_what_was_read_and_ends_the_engine(
    live: str, spool: FilledSpool, visits: Lake
) -> None:
    by = {"prism": signal.SIGINT, "flink": signal.SIGTERM}[live]
    declared, lake = str(visits.declaration.path), visits.place.path
    command = [str(Path(sys.executable).with_name("isopach")), "stream", declared]
    where = ["--source", spool.address(), "--lake", lake, "--cadence", "continuous"]
    with subprocess.Popen(
        [*command, *where, "--engine", live, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            sent = 0
            while visits.positions().total() < 400:
                assert process.poll() is None
                for partition in range(2):
                    ids = [f"{partition}/{n}" for n in range(sent, sent + 50)]
                    spool.send(partition, [own("nyc", id, "08T12:00") for id in ids])
                sent += 50
            started = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(by)
            said, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    assert psutil.wait_procs(started, 10)[1] == []
    done = json.loads(said)
    assert done["outcome"] == "stopped"
    there = visits.positions()
    assert sum(done["rows"].values()) == there.total() == sum(done["fences"].values())
    assert set(there.values()) == {1}
    assert visits.findings() == []
    assert visits.table("counts")["read"].sum() == there.total()
