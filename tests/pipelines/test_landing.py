"""However a stream is landed, its tables are the same: each row once, whatever happens."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any, Literal, NamedTuple

import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from disturbed import COMMIT, DiedError, numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from small_night import DAY, ZONES
from small_stream import (
    Content,
    Logs,
    SmallStream,
    announced,
    assert_same_streams,
    line,
    once_each,
)

from isopach.lake.landings import LandingLostError
from isopach.lake.places import Place
from isopach.pipelines.intervals import Interval
from isopach.pipelines.landing import Lander

A, B = "spool/0", "spool/1"
SITES = [*ZONES]
BEGIN = datetime(2026, 3, 8, 6)


def shared(number: int) -> str:
    """Return a line that both sources may have, the same in both."""
    at = BEGIN + timedelta(hours=number * 7 % 48)
    return line(SITES[number % 4], f"s{number}", f"{at:%Y-%m-%dT%H:%M}", minutes=number % 3)


def own(source: str, site: str, id: int, hour: int, minutes: int) -> str:
    at = BEGIN + timedelta(hours=hour)
    return line(site, f"{source}/{id}", f"{at:%Y-%m-%dT%H:%M}", minutes=minutes)


SHARED = [f"s{number}" for number in range(12)]
ODD = ["{", "", "\\xff", "[1]", line("nowhere", "n", "2026-03-08T12:00"), '{"clinic": "nyc"}']


def lines_of(source: str) -> st.SearchStrategy[list[str]]:
    """Draw lines: good, malformed, late, and ids that come again, also in the other source."""
    of_own = st.builds(
        own,
        st.just(source),
        st.sampled_from(SITES[:2]),
        st.integers(0, 6),
        st.integers(0, 72),
        st.integers(0, 2),
    )
    return st.lists(
        st.one_of(of_own, st.integers(0, 11).map(shared), st.sampled_from(ODD)), max_size=14
    )


Step = tuple[Literal["land", "flush", "anew", "other"], list[tuple[str, int, int]]]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(["land", "land", "land", "flush", "anew", "other"]),
        st.lists(
            st.tuples(st.sampled_from([A, B]), st.integers(0, 14), st.integers(0, 14)), max_size=4
        ),
    ),
    max_size=9,
)


def begun(stream: SmallStream, logs: Logs, run: str) -> Lander:
    """Return a committer that has learned where the lake stands, and which sources there are."""
    lander = stream.lander(run)
    lander.learn()
    lander.land(announced(logs))
    return lander


def all_of(stream: SmallStream, logs: Logs) -> list[Interval]:
    return [stream.interval(source, lines, 0, len(lines)) for source, lines in logs.items()]


def finish(stream: SmallStream, logs: Logs) -> None:
    """Let a new committer land what is left."""
    lander = begun(stream, logs, "last")
    assert lander.land(all_of(stream, logs)) == []
    lander.flush()


def at_once(stream: SmallStream, logs: Logs) -> Content:
    """Return what the tables of another lake say after all was landed at once."""
    other = stream.other_lake("at once")
    other.landed_once(logs)
    return other.streamed(SHARED)


def check(stream: SmallStream, expected: Content, logs: Logs) -> None:
    """Check that a lake has each row once, and says the same as one that was landed at once."""
    assert stream.positions() == once_each(logs)
    assert stream.findings() == []
    assert_same_streams(expected, stream.streamed(SHARED))


@settings(max_examples=25)
@given(logs=st.fixed_dictionaries({A: lines_of(A), B: lines_of(B)}), steps=STEPS)
def test_however_a_stream_is_landed_the_tables_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, logs: Logs, steps: list[Step]
) -> None:
    stream = SmallStream.at(tmp_path_factory.mktemp("landing"))
    landers = [begun(stream, logs, "r0"), begun(stream, logs, "r1")]
    waiting: list[list[Interval]] = [[], []]
    turn = 0
    for number, (step, cuts) in enumerate(steps):
        if step == "other":
            turn = 1 - turn
        elif step == "flush":
            landers[turn].flush()
        elif step == "anew":
            landers[turn], waiting[turn] = begun(stream, logs, f"r{number + 2}"), []
        else:
            given = [
                stream.interval(source, logs[source], min(ends), max(ends))
                for source, *cut in cuts
                if (ends := [min(at, len(logs[source])) for at in cut])
            ]
            waiting[turn] = landers[turn].land([*waiting[turn], *given])
    finish(stream, logs)
    check(stream, at_once(stream, logs), logs)


class Told(NamedTuple):
    """A stream with something of everything, and what its tables say in the end."""

    stream: SmallStream
    expected: Content


LOGS: Logs = {
    A: [
        *(own(A, "nyc", n, 6 + n, n % 3) for n in range(4)),
        "{",
        shared(1),
        own(A, "nyc", 0, 6, 0),  # again
        own(A, "kathmandu", 1, 30, 1),
        own(A, "nyc", 9, 60, 1),  # closes the windows before
        own(A, "nyc", 8, 8, 1),  # late
        "[]",
        own(A, "nyc", 9, 60, 1),
        own(A, "pago", 5, 61, 1),
    ],
    B: [
        shared(1),
        *(own(B, "nyc", n, 7 + n, n % 3) for n in range(3)),
        "nonsense",
        shared(2),
        own(B, "pago", 1, 62, 1),
        shared(2),  # late
        own(B, "pago", 1, 62, 1),
        own(B, "pago", 2, 62, 2),
    ],
}
HALF = {A: 6, B: 4}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    stream = SmallStream.at(tmp_path_factory.mktemp("told"))
    expected = stream.other_lake("at once")
    expected.landed_once(LOGS)
    kinds = {*expected.table("quarantine")["reason"]}
    assert kinds == {"not_json", "duplicate_key", "window_closed"}
    assert {*expected.table("windows")["progress"]} == {"open", "complete", "closed"} - {"complete"}
    return Told(stream, expected.streamed(SHARED))


def half_landed(stream: SmallStream) -> Lander:
    """Return a committer that has landed the first half of the lines."""
    lander = begun(stream, LOGS, "r0")
    lander.land([stream.interval(s, lines, 0, HALF[s]) for s, lines in LOGS.items()])
    lander.flush()
    return lander


def quarter(stream: SmallStream) -> list[Interval]:
    """Return intervals of which the first half has landed already, and the rest has not."""
    return [stream.interval(s, lines, HALF[s] - 2, HALF[s] + 4) for s, lines in LOGS.items()]


def test_a_window_is_closed_also_if_the_committer_was_killed_before_it_wrote_that(
    tmp_path: Path,
) -> None:
    stream = SmallStream.at(tmp_path)
    logs = {A: [own(A, "nyc", 1, 6, 0), own(A, "nyc", 2, 80, 0)]}
    lander = begun(stream, logs, "r0")
    lander.land([stream.interval(A, logs[A], 0, 1)])
    lander.flush()
    lander.land([stream.interval(A, logs[A], 1, 2)])
    finish(stream, logs)
    check(stream, at_once(stream, logs), logs)


def test_a_committer_that_is_behind_does_not_open_a_window_that_was_closed(tmp_path: Path) -> None:
    stream = SmallStream.at(tmp_path)
    logs = {A: [own(A, "nyc", 1, 6, 0), own(A, "nyc", 2, 80, 0)]}
    behind = begun(stream, logs, "r0")
    behind.land([stream.interval(A, logs[A], 0, 1)])
    finish(stream, logs)
    behind.flush()
    check(stream, at_once(stream, logs), logs)


@pytest.mark.parametrize("flushed", [False, True])
def test_a_window_of_rejected_rows_alone_is_closed_also_after_a_restart(
    tmp_path: Path, flushed: bool
) -> None:
    stream = SmallStream.at(tmp_path)
    bad = line("nyc", "bad", "2026-03-08T12:00", minutes="x")
    logs = {A: [bad, own(A, "pago", 2, 80, 0)]}
    lander = begun(stream, logs, "r0")
    lander.land([stream.interval(A, logs[A], 0, 1)])
    if flushed:
        lander.flush()
    finish(stream, logs)
    check(stream, at_once(stream, logs), logs)


@pytest.mark.parametrize("anew", [False, True])
def test_a_source_that_comes_later_opens_no_window_again(tmp_path: Path, anew: bool) -> None:
    stream = SmallStream.at(tmp_path)
    logs = {A: [own(A, "nyc", 1, 6, 0), own(A, "nyc", 2, 80, 0)]}
    lander = begun(stream, logs, "r0")
    lander.land(all_of(stream, logs))
    mark = lander.watermark
    both = {**logs, B: [own(B, "nyc", n, 6, 0) for n in range(3)]}
    lander = begun(stream, both, "r1") if anew else lander
    for end in (1, 3):
        lander.land([stream.interval(B, both[B], 0, end)])
        assert lander.watermark == mark
    lander.flush()
    assert stream.table("quarantine")["reason"].to_list() == ["window_closed"] * 3
    assert stream.positions() == once_each(both)
    assert stream.findings() == []


Fault = Callable[[Callable[[], Any], str], Any]
"""What happens instead of a step, which it is given, with its name."""


class Steps:
    """Counts the steps on storage: commits, and files written and deleted; `only` are counted."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.done = 0
        self.at: dict[int, Fault] = {}
        self.only = {COMMIT}
        self._deep = False
        for owner, name in (
            (DeltaTable, COMMIT),
            (Place, "write_bytes"),
            (Place, "delete"),
            (pq, "write_table"),
        ):
            patch.setattr(owner, name, self._counted(getattr(owner, name), name))

    def _counted(self, step: Callable[..., Any], name: str) -> Callable[..., Any]:
        def stepping(*args: Any, **options: Any) -> Any:
            if self._deep or name not in self.only:
                return step(*args, **options)
            self.done += 1
            disturbed = self.at.pop(self.done, None)
            if disturbed is None:
                return step(*args, **options)
            self._deep = True
            try:
                return disturbed(lambda: step(*args, **options), name)
            finally:
                self._deep = False

        return stepping


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    with monkeypatch.context() as patch:
        yield Steps(patch)


def before(error: BaseException) -> Fault:
    def disturbed(step: Callable[[], Any], name: str) -> Any:
        raise error

    return disturbed


def after(error: BaseException) -> Fault:
    def disturbed(step: Callable[[], Any], name: str) -> Any:
        step()
        raise error

    return disturbed


def copied(stream: SmallStream, folder: Path) -> SmallStream:
    shutil.copytree(stream.lake.path, folder / "lake")
    return SmallStream(folder, stream.declaration)


@pytest.fixture(scope="module")
def half(told: Told, tmp_path_factory: pytest.TempPathFactory) -> SmallStream:
    """A lake in which the first half of the lines has landed."""
    stream = SmallStream(tmp_path_factory.mktemp("half"), told.stream.declaration)
    half_landed(stream)
    return stream


@pytest.mark.slow
def test_killed_before_any_step_and_landed_again(
    told: Told, half: SmallStream, tmp_path: Path, steps: Steps
) -> None:
    steps.only = {COMMIT, "write_bytes", "delete"}
    for number in count(1):
        stream = copied(half, tmp_path / f"{number}")
        steps.done = -1000
        lander = begun(stream, LOGS, "r1")
        steps.done, steps.at = 0, {number: before(DiedError())}
        try:
            lander.land(quarter(stream))
            lander.flush()
        except DiedError:
            finish(stream, LOGS)
            check(stream, told.expected, LOGS)
        else:
            break
    assert number > 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "only"),
    [
        (before(OSError("cannot")), {COMMIT, "write_bytes", "delete"}),
        (after(OSError("no answer")), {COMMIT}),
        (after(CommitFailedError("no answer")), {COMMIT}),
    ],
    ids=["fails", "fails afterwards", "loses the answer"],
)
def test_any_step_may_fail_and_the_same_committer_goes_on(
    told: Told,
    half: SmallStream,
    tmp_path: Path,
    steps: Steps,
    fault: Fault,
    only: set[str],
) -> None:
    steps.only = only
    for number in count(1):
        stream = copied(half, tmp_path / f"{number}")
        steps.done = -1000
        lander = begun(stream, LOGS, "r1")
        steps.done, steps.at = 0, {number: fault}
        with suppress(OSError, CommitFailedError):
            lander.land(quarter(stream))
        with suppress(OSError, CommitFailedError):
            lander.flush()
        ended = bool(steps.at)
        steps.at = {}
        assert lander.land(all_of(stream, LOGS)) == []
        lander.flush()
        check(stream, told.expected, LOGS)
        if ended:
            break
    assert number > 6


@pytest.mark.parametrize("meanwhile", ["nothing", "fails", "another committer", "it learns anew"])
def test_rows_land_while_what_landed_before_is_written(
    told: Told, half: SmallStream, tmp_path: Path, meanwhile: str
) -> None:
    stream = copied(half, tmp_path)
    lander = begun(stream, LOGS, "r1")
    lander.land(quarter(stream))
    flush = lander.begin_flush()
    assert lander.land(all_of(stream, LOGS)) == []
    if meanwhile == "another committer":
        finish(stream, LOGS)
    elif meanwhile == "it learns anew":
        lander.learn()

    def written() -> int | None:
        if meanwhile == "fails":
            raise OSError("cannot")
        return flush.write()

    with suppress(OSError):
        lander.end_flush(flush, written)
    lander.flush()
    check(stream, told.expected, LOGS)


def test_two_committers_by_turns_land_each_row_once(
    told: Told, half: SmallStream, tmp_path: Path
) -> None:
    stream = copied(half, tmp_path)
    landers = [begun(stream, LOGS, "r1"), begun(stream, LOGS, "r2")]
    for turn, end in enumerate(range(4, 14)):
        lander = landers[turn % 2]
        lander.land(
            [stream.interval(s, lines, 0, min(end, len(lines))) for s, lines in LOGS.items()]
        )
        if turn % 3 == 2:
            lander.flush()
    for lander in landers:
        lander.flush()
    check(stream, told.expected, LOGS)


@pytest.mark.parametrize("flushed", [False, True])
def test_a_committer_that_wakes_up_late_lands_nothing_again(
    told: Told, half: SmallStream, tmp_path: Path, flushed: bool
) -> None:
    stream = copied(half, tmp_path)
    old = begun(stream, LOGS, "r1")
    old.land(quarter(stream))
    if flushed:
        old.flush()
    finish(stream, LOGS)
    old.land(quarter(stream))
    old.flush()
    check(stream, told.expected, LOGS)


@pytest.mark.slow
def test_another_committer_comes_between_at_any_commit(
    told: Told, half: SmallStream, tmp_path: Path, steps: Steps
) -> None:
    def between(step: Callable[[], Any], name: str) -> Any:
        finish(stream, LOGS)
        return step()

    for number in count(1):
        stream = copied(half, tmp_path / f"{number}")
        steps.done = -1000
        lander = begun(stream, LOGS, "r1")
        steps.done, steps.at = 0, {number: between}
        lander.land(quarter(stream))
        lander.flush()
        if steps.at:
            break
        check(stream, told.expected, LOGS)
    assert number > 6


@pytest.mark.slow
def test_an_answer_is_lost_and_another_committer_goes_on(
    told: Told, half: SmallStream, tmp_path: Path, steps: Steps
) -> None:
    def lost(step: Callable[[], Any], name: str) -> Any:
        step()
        finish(stream, LOGS)
        raise CommitFailedError("no answer")

    for number in count(1):
        stream = copied(half, tmp_path / f"{number}")
        steps.done = -1000
        lander = begun(stream, LOGS, "r1")
        steps.done, steps.at = 0, {number: lost}
        lander.land(quarter(stream))
        lander.flush()
        if steps.at:
            break
        check(stream, told.expected, LOGS)
    assert number > 6


def test_the_files_of_a_landing_that_another_was_before_are_deleted(
    told: Told, half: SmallStream, tmp_path: Path, steps: Steps
) -> None:
    stream = copied(half, tmp_path)
    lander = begun(stream, LOGS, "r1")
    written: list[str] = []

    def between(step: Callable[[], Any], name: str) -> Any:
        written.extend(str(path) for path in stream.folder.rglob("r1-*.parquet"))
        other = begun(stream, LOGS, "r2")
        other.land([stream.interval(A, LOGS[A], 0, len(LOGS[A]))])
        return step()

    steps.at = {steps.done + 1: between}
    lander.land([stream.interval(A, LOGS[A], 0, len(LOGS[A]))])
    assert written
    assert not any(Path(path).exists() for path in written)
    finish(stream, LOGS)
    check(stream, told.expected, LOGS)


def descriptions(stream: SmallStream) -> list[Path]:
    return sorted(Path(stream.lake.path).glob("visits/_staging/landings/*"))


def test_descriptions_are_kept_until_all_tables_have_what_they_tell(
    half: SmallStream, tmp_path: Path
) -> None:
    stream = copied(half, tmp_path)
    lander = begun(stream, LOGS, "r1")
    for end in (8, 9, 10):
        lander.land([stream.interval(A, LOGS[A], 0, end)])
    assert len(descriptions(stream)) >= 4
    lander.flush()
    assert len(descriptions(stream)) == 1


def test_a_lost_description_that_some_table_has_to_follow_is_told(
    told: Told, half: SmallStream, tmp_path: Path
) -> None:
    stream = copied(half, tmp_path)
    killed = begun(stream, LOGS, "r1")
    killed.land(quarter(stream))
    last = descriptions(stream)[-1]
    description = last.read_bytes()
    last.unlink()
    for _ in range(2):
        with pytest.raises(LandingLostError, match=rf"{last.name}: is gone, .* restore it"):
            begun(stream, LOGS, "r2")
    assert any("has landings up to" in found.message for found in stream.findings())
    last.write_bytes(description)
    finish(stream, LOGS)
    check(stream, told.expected, LOGS)


def test_a_lost_description_that_no_table_has_to_follow_is_done_without(
    told: Told, half: SmallStream, tmp_path: Path
) -> None:
    stream = copied(half, tmp_path)
    for place in descriptions(stream):
        place.unlink()
    assert stream.findings() == []
    finish(stream, LOGS)
    check(stream, told.expected, LOGS)


def test_without_a_description_the_fences_of_sources_without_records_hold(tmp_path: Path) -> None:
    stream = SmallStream.at(tmp_path)
    logs = {A: ["{", "["], B: [own(B, "nyc", 1, 6, 0)]}
    stream.landed_once(logs)
    for place in descriptions(stream):
        place.unlink()
    logs = {A: [*logs[A], "}", own(A, "nyc", 2, 6, 0)], B: logs[B]}
    lander = begun(stream, logs, "r1")
    assert lander.land([stream.interval(A, logs[A], 2, 4)]) == []
    lander.flush()
    assert stream.positions() == once_each(logs)
    assert stream.findings() == []


@pytest.mark.slow
def test_two_committers_at_once_land_each_row_once(tmp_path: Path) -> None:
    stream = SmallStream.at(tmp_path)
    logs: Logs = {
        source: [
            "{" if n % 7 == 3 else own(source, SITES[n % 3], n // 2, n * 60 // size, n % 3)
            for n in range(size)
        ]
        for source, size in ((A, 150), (B, 90))
    }
    failed: list[BaseException] = []

    def land(run: str) -> None:
        try:
            lander, draw = begun(stream, logs, run), random.Random(run)
            while any(reached.fence < len(logs[s]) for s, reached in lander.last.sources.items()):
                cuts = {s: reached.fence for s, reached in lander.last.sources.items()}
                intervals = [
                    stream.interval(s, logs[s], max(at - 2, 0), min(at + 9, len(logs[s])))
                    for s, at in cuts.items()
                ]
                lander.land(draw.sample(intervals, len(intervals)))
                if draw.random() < 0.3:
                    lander.flush()
            lander.flush()
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=land, args=(run,)) for run in ("r1", "r2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    check(stream, at_once(stream, logs), logs)
    assert {*stream.table("records")["_run"]} == {"r1", "r2"}


NIGHT: dict[str, list[dict[str, Any]]] = {
    "nyc": [json.loads(own(A, "nyc", n, 6 + n, n % 3)) for n in range(4)],
    "kiritimati": [json.loads(own(A, "kiritimati", 1, 1, 0))],
    "pago": [json.loads(own(B, "pago", 0, 5, 1))],
}
DELIVERED = frozenset(NIGHT)
LATER: Logs = {
    A: [own(A, "nyc", n, 4, n % 3) for n in range(6)] + [own(A, "kiritimati", 7, 2, 1)],
    B: [own(B, "nyc", n, 4, n % 3) for n in range(4)] + [own(B, "pago", n, 5, 1) for n in range(3)],
}
"""Rows of DAY, in New York, Kiritimati and Pago Pago."""


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> SmallStream:
    """A lake with some rows of DAY landed, and a night that will settle two of three windows."""
    stream = SmallStream.at(tmp_path_factory.mktemp("delivered"))
    for site, rows in NIGHT.items():
        stream.deliver(site, rows, rows=99 if site == "pago" else -1)  # that one is held
    lander = begun(stream, LATER, "r0")
    lander.land([stream.interval(s, lines, 0, 2) for s, lines in LATER.items()])
    lander.flush()
    return stream


def counts_of(landed: Logs, site: str) -> int:
    return sum(json.loads(one)["clinic"] == site for lines in landed.values() for one in lines)


def check_settled(stream: SmallStream, landed: Logs) -> None:
    """Check a lake after its night, with all of some lines landed."""
    assert stream.findings() == []
    assert stream.states() == {
        ("nyc", DAY): "settled", ("kiritimati", DAY): "settled", ("pago", DAY): "held"
    }  # fmt: skip
    records = stream.table("records")
    modes = dict(records.group_by("site").agg(pl.col("_mode").unique()).iter_rows())
    streamed = counts_of(landed, "pago") and {"pago": ["stream"]}
    assert modes == {"nyc": ["batch"], "kiritimati": ["batch"], **(streamed or {})}
    assert records.filter(site="nyc").height == len(NIGHT["nyc"])
    late = stream.table("quarantine").filter(_mode="stream")
    assert {*late["reason"]} <= {"window_settled"}
    counts = stream.table("counts").filter(mode="stream")
    assert counts["read"].sum() == sum(map(len, landed.values()))
    assert counts["late"].sum() == late.height
    stored = stream.positions()
    assert set(stored) <= set(once_each(landed))
    assert set(stored.values()) <= {1}
    replaced = counts.filter(pl.col("site") != "pago")["accepted"].sum()
    assert stored.total() + replaced == once_each(landed).total()


@pytest.mark.slow
def test_a_night_comes_between_at_any_commit_of_a_landing(
    delivered: SmallStream, tmp_path: Path, steps: Steps
) -> None:
    def between(step: Callable[[], Any], name: str) -> Any:
        stream.run(only=DELIVERED)
        return step()

    for number in numbers(1):
        shutil.copytree(delivered.folder, tmp_path / f"{number}")
        stream = SmallStream(tmp_path / f"{number}", delivered.declaration)
        steps.done = -1000
        lander = begun(stream, LATER, "r1")
        steps.done, steps.at = 0, {number: between}
        lander.land([stream.interval(s, lines, 0, 4) for s, lines in LATER.items()])
        lander.flush()
        if steps.at:
            break
        check_settled(stream, {source: lines[:4] for source, lines in LATER.items()})
        lander.land(all_of(stream, LATER))
        lander.flush()
        check_settled(stream, LATER)
        late = stream.table("quarantine").filter(reason="window_settled")
        assert {4, 5} <= {*late.filter(_source=A)["_position"]}
    assert number > 5


@pytest.mark.slow
def test_a_landing_comes_between_at_any_commit_of_a_night(
    delivered: SmallStream, tmp_path: Path, steps: Steps
) -> None:
    def between(step: Callable[[], Any], name: str) -> Any:
        lander.land(all_of(stream, LATER))
        lander.flush()
        return step()

    for number in numbers(2, least=2):  # the first is that the run began
        shutil.copytree(delivered.folder, tmp_path / f"{number}")
        stream = SmallStream(tmp_path / f"{number}", delivered.declaration)
        steps.done = -1000
        lander = begun(stream, LATER, "r1")
        steps.done, steps.at = 0, {number: between}
        stream.run(only=DELIVERED)
        if steps.at:
            break
        check_settled(stream, LATER)
    assert number > 8


@pytest.mark.slow
def test_a_night_dies_before_any_commit_beside_a_stream_and_is_run_again(
    delivered: SmallStream, tmp_path: Path, steps: Steps
) -> None:
    for number in numbers(3, least=2):  # the first is that the run began
        shutil.copytree(delivered.folder, tmp_path / f"{number}")
        stream = SmallStream(tmp_path / f"{number}", delivered.declaration)
        steps.done = -1000
        lander = begun(stream, LATER, "r1")
        steps.done, steps.at = 0, {number: before(DiedError())}
        with suppress(DiedError):
            stream.run(only=DELIVERED)
        if steps.at:
            break
        lander.land(all_of(stream, LATER))
        lander.flush()
        stream.run(only=DELIVERED)
        check_settled(stream, LATER)
    assert number > 8


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_night_without_rows_settles_its_windows_all_the_same(
    tmp_path: Path, steps: Steps, number: int
) -> None:
    def between(step: Callable[[], Any], name: str) -> Any:
        stream.run(only=frozenset({"nyc"}))
        return step()

    stream = SmallStream.at(tmp_path)
    stream.deliver("nyc", b"")
    logs = {A: [own(A, "nyc", 1, 4, 0), own(A, "pago", 1, 5, 0)]}
    lander = begun(stream, logs, "r1")
    steps.done, steps.at = 0, {number: between}
    lander.land(all_of(stream, logs))
    lander.flush()
    assert steps.at == {}
    assert stream.findings() == []
    assert stream.table("records")["site"].to_list() == ["pago"]
    assert stream.table("totals_all")["site"].to_list() == ["pago"]
    assert stream.states()["nyc", DAY] == "settled"


@pytest.mark.parametrize("flushed", [False, True])
def test_after_a_night_all_rows_of_its_windows_are_late(
    delivered: SmallStream, tmp_path: Path, flushed: bool
) -> None:
    shutil.copytree(delivered.folder, tmp_path / "night")
    stream = SmallStream(tmp_path / "night", delivered.declaration)
    lander = begun(stream, LATER, "r1")
    lander.land([stream.interval(s, lines, 0, 4) for s, lines in LATER.items()])
    if flushed:
        lander.flush()
    stream.run(only=DELIVERED)
    lander.land(all_of(stream, LATER))
    lander.flush()
    check_settled(stream, LATER)
    late = stream.table("quarantine").filter(reason="window_settled")
    assert sorted(late.select("_source", "_position").iter_rows()) == [(A, 4), (A, 5), (A, 6)]
