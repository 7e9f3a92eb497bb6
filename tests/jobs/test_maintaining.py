from __future__ import annotations

import os
import socket
import tempfile
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from disturbed import DiedError, before_commit, die
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from maintained import Dying, data_files, fences, maintained, said
from small_night import DAY, EXAMPLES, rows
from small_stream import SmallStream, announced, assert_same_streams, line, once_each

from isopach.jobs.approving import approve
from isopach.jobs.nightly import Options, feed_tables
from isopach.lake.files import write_file
from isopach.lake.in_flight import in_flight
from isopach.lake.landings import write_landing
from isopach.lake.ledger import Run, new_run, record_run
from isopach.lake.replace import to_table
from isopach.lake.staged import Staged, write_staged
from isopach.lake.verdicts import VERDICTS, write_verdicts
from isopach.pipelines import landing
from isopach.pipelines.staging import staging

SOURCE = "spool:visits/0"
DEAD = f"{socket.gethostname()}/{2**22 + 1}"
"""A process that is not there: beyond the largest number."""


@pytest.fixture
def stream(tmp_path: Path) -> SmallStream:
    return SmallStream.at(tmp_path)


def sent(first: int, end: int) -> list[str]:
    return [
        line("nyc" if n % 3 else "pago", f"x{n}", f"{DAY}T{16 + n % 7}:00", minutes=n % 3)
        for n in range(first, end)
    ]


def land(stream: SmallStream, lines: list[str], first: int, flush: bool = True) -> None:
    """Land what a source has from a position on, by a committer that starts anew, row by row."""
    lander = stream.lander()
    lander.learn()
    lander.land(announced({SOURCE: lines}))
    for n in range(first, len(lines)):
        assert lander.land([stream.interval(SOURCE, lines, n, n + 1)]) == []
    if flush:
        lander.flush()


# Rows stay, files go


def test_many_files_become_few_and_the_rows_stay(stream: SmallStream) -> None:
    lines = [*sent(0, 12), "{"]
    land(stream, lines, 0)
    before, reached = said(stream), fences(stream)
    foreseen = {one.table: one for one in maintained(stream, dry=True)}
    assert_same_streams(before, said(stream))
    assert len(data_files(stream, "records")) == 12
    done = {one.table: one for one in maintained(stream)}
    records = done["visits/records"]
    assert (records.files_before, records.files_after, records.deleted) == (12, 1, 12)
    assert records.version_after == records.version_before + 1
    assert records.freed > 0
    assert foreseen["visits/records"].files_after == 1
    assert foreseen["visits/records"].version_after == records.version_before
    assert len(data_files(stream, "records")) == 1
    assert_same_streams(before, said(stream))
    after = fences(stream)
    for table, names in reached.items():
        for name, at in names.items():
            if name != "isopach/writer":
                assert after[table][name] == at
    assert stream.findings() == []
    more = [*lines, *sent(13, 20)]
    land(stream, more, len(lines))
    assert stream.positions() == once_each({SOURCE: more})
    assert stream.findings() == []
    again = {one.table: one for one in maintained(stream, days=0)}
    assert again["visits/records"].deleted == 0, "young files stay"


def test_what_landed_and_no_table_has_followed_is_not_lost(stream: SmallStream) -> None:
    """Counts and totals are made from the landings' own files, also of those joined since."""
    lines = sent(0, 6)
    land(stream, lines, 0, flush=False)
    assert maintained(stream)
    assert len(data_files(stream, "records")) == 7, "those described, and the one they became"
    land(stream, lines, 6)
    once = SmallStream.at(stream.folder / "once")
    once.landed_once({SOURCE: lines})
    assert_same_streams(once.streamed(), stream.streamed())
    assert stream.findings() == []
    maintained(stream)
    assert len(data_files(stream, "records")) == 1 + 1, "the newest landing stays described"


def test_what_is_written_and_not_yet_committed_stays(
    stream: SmallStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = sent(0, 4)
    land(stream, lines[:2], 0)

    def described(*arguments: object) -> None:
        write_landing(*arguments)  # type: ignore[arg-type]
        monkeypatch.undo()
        maintained(stream)

    monkeypatch.setattr(landing, "write_landing", described)
    land(stream, lines, 2)
    assert stream.positions() == once_each({SOURCE: lines})
    assert stream.findings() == []


def test_a_night_that_waits_is_published_after_weeks(stream: SmallStream) -> None:
    stream.deliver("nyc", rows("nyc", 5), rows=7)
    stream.deliver("pago", rows("pago", 3))
    run = stream.run(only=frozenset({"nyc", "pago"})).run
    maintained(stream, days=60)
    assert stream.states()["nyc", DAY] == "held"
    approve(stream.declaration, stream.lake, run, ["nyc"], Options(), Dying())
    assert stream.states()["nyc", DAY] == "settled"
    assert stream.table("records").height == 8
    assert stream.findings() == []
    maintained(stream, days=60)
    assert stream.findings() == []
    assert stream.table("records").height == 8


def test_a_night_that_died_while_it_published_is_finished_after_weeks(
    stream: SmallStream,
) -> None:
    stream.deliver("nyc", rows("nyc", 5))
    once = SmallStream.at(stream.folder / "once")
    once.deliver("nyc", rows("nyc", 5))
    once.run(only=frozenset({"nyc"}))
    with before_commit(9, die), suppress(DiedError):
        stream.run(only=frozenset({"nyc"}))
    maintained(stream, days=60)
    stream.run(only=frozenset({"nyc"}))
    assert_same_streams(said(once), said(stream))
    assert stream.findings() == []


# What is in flight


def staged_by(stream: SmallStream, run: Run, verdicts: bool) -> str:
    """Stage a file for a run, as if it had been killed then; return the file's name."""
    table = feed_tables(stream.declaration).records
    stored = to_table(stream.table("records")[:1], table.schema)
    file = write_file(stream.lake, table, stored, f"{run.run}-x")
    folder = staging(stream.lake, "visits") / run.run
    write_staged(folder, Staged({"records": [file]}))
    if verdicts:
        write_verdicts(folder, [])
    return f"{run.run}-x.parquet"


@pytest.mark.parametrize(
    ("cadence", "killed", "verdicts", "stays"),
    [
        ("nightly", False, False, True),
        ("nightly", True, True, True),
        ("nightly", True, False, False),
        ("replay", True, False, True),
    ],
)
def test_files_of_runs_stay_for_as_long_as_somebody_may_take_them_up(
    stream: SmallStream, cadence: str, killed: bool, verdicts: bool, stays: bool
) -> None:
    land(stream, sent(0, 3), 0)
    run = new_run("visits", cadence, "batch", "FnApiRunner", {})
    record_run(stream.lake, replace(run, process=DEAD) if killed else run)
    name = staged_by(stream, run, verdicts)
    maintained(stream, days=6)
    assert name in data_files(stream, "records")
    maintained(stream)
    assert (name in data_files(stream, "records")) is stays


def test_a_run_of_another_host_is_not_taken_for_dead(stream: SmallStream) -> None:
    run = new_run("visits", "nightly", "batch", "FnApiRunner", {})
    record_run(stream.lake, replace(run, process="elsewhere/1"))
    assert in_flight(stream.lake, "visits").runs == {run.run}
    assert in_flight(stream.lake, "other").runs == set()


def test_a_staging_folder_without_description_counts_by_its_name(stream: SmallStream) -> None:
    (staging(stream.lake, "visits") / f"r1/{VERDICTS}").write_bytes(b"[]")
    assert in_flight(stream.lake, "visits").runs == {"r1"}


# Beside a stream, and killed anywhere


def test_beside_a_stream_nothing_is_lost(stream: SmallStream) -> None:
    lines = sent(0, 60)
    land(stream, lines[:20], 0)
    for path in Path(stream.lake.path).rglob("*"):
        then = (datetime.now(UTC) - timedelta(days=20)).timestamp()
        os.utime(path, (then, then))
    failed: list[BaseException] = []

    def streamed() -> None:
        try:
            land(stream, lines, 20)
        except BaseException as error:
            failed.append(error)

    writer = Thread(target=streamed)
    writer.start()
    rounds = 0
    while writer.is_alive() or not rounds:
        maintained(stream, days=0)
        rounds += 1
    writer.join()
    assert failed == []
    assert stream.positions() == once_each({SOURCE: lines})
    assert stream.findings() == []
    before = said(stream)
    maintained(stream)
    assert_same_streams(before, said(stream))


OPERATIONS = st.one_of(
    st.tuples(st.just("stream"), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("night"), st.integers(1, 9), st.booleans()),
    st.tuples(st.just("maintain"), st.integers(0, 45), st.sampled_from([0.0, 8.0])),
)


@pytest.mark.slow
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(st.lists(OPERATIONS, min_size=2, max_size=7))
def test_the_tables_say_what_they_would_without(operations: list[tuple[str, int, float]]) -> None:
    """After any nights, streams, maintenance, and kills of it between any two of its steps."""
    with tempfile.TemporaryDirectory() as folder:
        plain = SmallStream.at(Path(folder) / "plain")
        kept = SmallStream.at(Path(folder) / "kept")
        operations = [*operations, ("stream", 1, True)]
        for lake in (plain, kept):
            carry_out(lake, operations, lake is kept)
        assert_same_streams(said(plain), said(kept))
        assert kept.findings() == plain.findings() == []


def carry_out(lake: SmallStream, operations: list[tuple[str, int, float]], maintain: bool) -> None:
    """Do one after another; a night's second figure says if it is held."""
    lines: list[str] = []
    for number, (what, figure, other) in enumerate(operations):
        if what == "stream":
            first, lines = len(lines), [*lines, *sent(len(lines), len(lines) + figure)]
            land(lake, lines, first, flush=bool(other))
        elif what == "night":
            at = f"2026-03-09T{number:02}:00:00Z"
            declared = figure + 1 if other else figure
            lake.deliver("nyc", rows("nyc", figure), rows=declared, name=f"d{number}", at=at)
            lake.run(only=frozenset({"nyc"}))
        elif maintain:
            with suppress(DiedError):
                maintained(lake, days=other, dies=figure)
