from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from small_stream import SmallStream, line

from isopach.feeds.rules import declared_rules
from isopach.pipelines import intervals
from isopach.pipelines.intervals import Interval, intervals_of
from isopach.pipelines.logs import Poll
from isopach.transforms.batches import frame

SOURCE = "spool/0"
LINES = [
    line("nyc", "a", "2026-03-08T12:00"),
    "{",
    line("nyc", "b", "2026-03-08T12:00", minutes="x"),
    line("nowhere", "c", "2026-03-08T12:00"),
    line("pago", "d", "2026-03-08T12:00"),
    line("nyc", "a", "2026-03-08T12:01"),
]


@pytest.fixture
def stream(tmp_path: Path) -> SmallStream:
    return SmallStream.at(tmp_path)


def positions(part: pa.RecordBatch | None) -> list[int]:
    return [] if part is None else part.column("_position").to_pylist()


def whole(interval: Interval) -> tuple[Any, ...]:
    """Return an interval with its batches as rows."""
    parts = (interval.accepted, interval.aside)
    return (*interval[:4], *(part and frame(part).rows() for part in parts), interval.idle)


def test_lines_become_good_rows_and_others_each_at_its_position(stream: SmallStream) -> None:
    found = stream.interval(SOURCE, LINES, 0, 6)

    assert found[:4] == (SOURCE, 0, 6, 0)
    assert (positions(found.accepted), positions(found.aside)) == ([0, 4, 5], [1, 2, 3])
    assert found.rows == 6
    assert found.aside is not None
    assert found.aside.column("raw").to_pylist() == LINES[1:4]
    assert set(found.aside.column("_source").to_pylist()) == {SOURCE}
    day = date(2026, 3, 8)
    assert found.windows() == {("nyc", day): 3, ("pago", day): 1, (None, None): 2}


@pytest.mark.parametrize("chosen", [range(6), [0], [1], []], ids=["all", "good", "bad", "none"])
@pytest.mark.parametrize("idle", [None, 0])
def test_packed_it_comes_back(stream: SmallStream, chosen: list[int], idle: int | None) -> None:
    lines = [LINES[n] for n in chosen]
    found = stream.interval(SOURCE, lines, 0, len(lines))._replace(idle=idle)
    assert whole(Interval.unpack(found.pack())) == whole(found)


def test_packed_a_part_does_not_carry_the_rest(stream: SmallStream) -> None:
    lines = [line("nyc", f"{n}", "2026-03-08T12:00", note="long" * 50) for n in range(2000)]
    found = stream.interval(SOURCE, lines, 0, 2000)
    assert len(found.since(1999).pack()) < len(found.pack()) / 5


@pytest.mark.parametrize("position", range(7))
def test_since_a_position_it_has_what_is_not_before(stream: SmallStream, position: int) -> None:
    found = stream.interval(SOURCE, LINES, 0, 6).since(position)
    assert found[:4] == (SOURCE, position, 6, 0)
    assert positions(found.accepted) == [n for n in (0, 4, 5) if n >= position]
    assert positions(found.aside) == [n for n in (1, 2, 3) if n >= position]


def test_a_poll_without_lines_carries_its_positions(stream: SmallStream) -> None:
    poll = Poll(SOURCE, 5, 9, np.arange(0), pl.Series([], dtype=pl.String))
    feed, sites = stream.declaration.feed, stream.declaration.sites
    (found,) = intervals_of(poll, 2, feed, sites, declared_rules(feed))
    assert found == Interval(SOURCE, 5, 9, 2)
    assert (found.rows, found.windows()) == (0, {})


def test_positions_are_the_polls_and_what_lies_between_them_too(stream: SmallStream) -> None:
    poll = Poll(SOURCE, 10, 30, np.array([12, 17, 28]), pl.Series(LINES[:3], dtype=pl.String))
    feed, sites = stream.declaration.feed, stream.declaration.sites
    (found,) = intervals_of(poll, 0, feed, sites, declared_rules(feed))
    assert found[:3] == (SOURCE, 10, 30)
    assert (positions(found.accepted), positions(found.aside)) == ([12], [17, 28])


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernels fail on lines with `poison` in them, as they do on no line that is known."""
    decode = intervals.decode_json

    def failing(lines: pl.Series, feed: Any) -> Any:
        if lines.str.contains("panic").any():
            raise pl.exceptions.PanicException("not yet implemented")
        if lines.str.contains("poison").any():
            raise RuntimeError("too bad " * 1000)
        return decode(lines, feed)

    monkeypatch.setattr(intervals, "decode_json", failing)


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("word", ["poison", "panic"])
def test_a_line_that_the_kernels_fail_on_is_set_aside_alone(
    stream: SmallStream, poison: None, caplog: pytest.LogCaptureFixture, at: int, word: str
) -> None:
    lines = [*LINES[:at], word, *LINES[at:]]
    with caplog.at_level(logging.ERROR):
        found = stream.intervals(SOURCE, lines, 0, 7)

    assert [one.first for one in found] == [0, *(one.next for one in found[:-1])]
    assert found[-1].next == 7
    assert sum(one.rows for one in found) == 7
    (odd,) = [one for one in found if one.first <= at < one.next and one.accepted is None]
    assert (odd.first, odd.next, positions(odd.aside)) == (at, at + 1, [at])
    assert odd.aside is not None
    (row,) = frame(odd.aside).to_dicts()
    assert (row["disposition"], row["raw"], row["site"]) == ("rejected", word, None)
    kind = "RuntimeError" if word == "poison" else "PanicException"
    assert row["reason"].startswith(f"cannot_be_prepared: {kind}: ")
    assert len(row["reason"]) <= 500
    others = sorted(n for one in found for n in positions(one.accepted))
    assert others == [n + (n >= at) for n in (0, 4, 5)]
    assert f"{SOURCE}: position {at} cannot be prepared" in caplog.text


def test_many_bad_lines_are_all_found(stream: SmallStream, poison: None) -> None:
    lines = ["poison" if n % 3 else LINES[0] for n in range(50)]
    found = stream.intervals(SOURCE, lines, 0, 50)
    assert sorted(n for one in found for n in positions(one.accepted)) == list(range(0, 50, 3))
    assert sum(one.rows for one in found) == 50


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_none_of_a_lines_faults(
    stream: SmallStream, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupted(*_: Any) -> None:
        raise error

    monkeypatch.setattr(intervals, "decode_json", interrupted)
    with pytest.raises(error):
        stream.intervals(SOURCE, LINES, 0, 6)
