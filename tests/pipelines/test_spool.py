from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isopach.feeds.spool import SpoolWriter
from isopach.pipelines import spool
from isopach.pipelines.logs import Bounds, LogError, Poll
from isopach.pipelines.spool import Spool

SOURCE = "spool/0"
LINES = st.lists(st.text("a{}\té😀\u2028\x0b ", max_size=8), max_size=25)
READS = st.lists(st.tuples(st.integers(0, 25), st.integers(1, 30), st.booleans()), max_size=12)


@pytest.fixture(params=[3, 1 << 22])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Read so many bytes at a time."""
    monkeypatch.setattr(spool, "BLOCK", request.param)
    return int(request.param)


def write(root: Path, content: bytes, first: int = 0, partition: str = "0") -> Path:
    file = root / "visits" / partition / f"{first:020}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def rows(poll: Poll | None) -> list[tuple[int, str]]:
    if poll is None:
        return []
    assert poll.first == poll.positions[0]
    assert poll.next == poll.positions[-1] + 1
    return list(zip(poll.positions.tolist(), poll.lines, strict=True))


def read_all(log: Spool, position: int = 0, size: int = 1000) -> list[tuple[int, str]]:
    """Read on from a position, with polls that follow each other."""
    found = []
    while poll := log.read(SOURCE, position, size):
        assert poll.first == position
        assert len(poll.lines) <= size
        found += rows(poll)
        position = poll.next
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, file_rows=st.integers(1, 10), appended=st.integers(1, 4), reads=READS)
def test_any_sequence_of_reads_gives_the_same_rows(
    block: int,
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    file_rows: int,
    appended: int,
    reads: list[tuple[int, int, bool]],
) -> None:
    root = tmp_path_factory.mktemp("spool")
    with SpoolWriter(root, "visits", "0", file_rows=file_rows) as writer:
        for first in range(0, len(lines), appended):
            writer.append(lines[first : first + appended])
    log, expected = Spool(root, "visits"), list(enumerate(lines))

    for position, size, anew in reads:
        if position > len(lines):
            continue
        found = rows(log.read(SOURCE, position, size))
        assert found == expected[position : position + len(found)]
        assert 0 < len(found) <= size or position == len(lines)
        assert log.bounds(SOURCE) == Bounds(0, len(lines))
        assert read_all(log, position, size) == expected[position:]
        if anew:
            log = pickle.loads(pickle.dumps(log))
    assert read_all(log) == expected


@pytest.mark.parametrize("known", [False, True], ids=["anew", "going on"])
def test_a_last_line_is_read_once_its_end_is_there(tmp_path: Path, block: int, known: bool) -> None:
    whole = '{"a": "é"}\n\n{"b": 2}\nlast\n'.encode()
    lines = whole.decode().split("\n")[:-1]
    log = Spool(tmp_path, "visits")
    seen: list[tuple[int, str]] = []
    for end in range(len(whole) + 1):
        write(tmp_path, whole[:end])
        there = whole[:end].count(b"\n")
        assert log.bounds(SOURCE) == Bounds(0, there)
        if known:
            seen += rows(log.read(SOURCE, len(seen), 10))
        else:
            seen = read_all(Spool(tmp_path, "visits"))
        assert seen == list(enumerate(lines[:there]))
    assert len(seen) == 4


@pytest.mark.parametrize("known", [False, True], ids=["anew", "going on"])
def test_a_torn_line_that_is_cut_off_and_written_anew_is_read_as_it_is_in_the_end(
    tmp_path: Path, known: bool
) -> None:
    file = write(tmp_path, b'one\n{"torn')
    log = Spool(tmp_path, "visits")
    assert read_all(log) == [(0, "one")]
    with SpoolWriter(tmp_path, "visits", "0") as writer:
        assert writer.append(["two", "three"]) == 1
    log = log if known else Spool(tmp_path, "visits")
    assert read_all(log, 1) == [(1, "two"), (2, "three")]
    assert log.bounds(SOURCE) == Bounds(0, 3)
    assert file.read_bytes() == b"one\ntwo\nthree\n"


def test_a_reader_goes_on_in_the_files_that_follow(tmp_path: Path, block: int) -> None:
    log, seen = Spool(tmp_path, "visits"), list[tuple[int, str]]()
    with SpoolWriter(tmp_path, "visits", "0", file_rows=2) as writer:
        for number in range(7):
            writer.append([f"{number}"])
            assert log.bounds(SOURCE) == Bounds(0, number + 1)
            seen += read_all(log, len(seen), 1)
            assert log.read(SOURCE, number + 1, 10) is None
    assert seen == [(n, f"{n}") for n in range(7)]
    assert len(list((tmp_path / "visits/0").iterdir())) == 4


def test_a_gap_between_files_is_told_and_never_jumped(tmp_path: Path, block: int) -> None:
    write(tmp_path, b"0\n1\n")
    write(tmp_path, b"5\n6\n", first=5)
    log = Spool(tmp_path, "visits")
    assert rows(log.read(SOURCE, 0, 10)) == [(0, "0"), (1, "1")]
    for position, gone in ((2, "[2, 5)"), (3, "[2, 3)"), (4, "[2, 4)")):
        with pytest.raises(LogError, match=r"put the files back, or start a new lake") as caught:
            log.read(SOURCE, position, 10)
        assert f"{SOURCE}: positions {gone} are gone from {log.folder}" in str(caught.value)
    assert read_all(log, 5) == [(5, "5"), (6, "6")]


def test_positions_before_the_first_file_and_after_the_last_line_are_told(tmp_path: Path) -> None:
    write(tmp_path, b"3\n4\n", first=3)
    log = Spool(tmp_path, "visits")
    assert log.bounds(SOURCE) == Bounds(3, 5)
    for position, gone in ((0, r"\[0, 3\)"), (6, r"\[5, 6\)"), (99, r"\[5, 99\)")):
        with pytest.raises(LogError, match=gone):
            log.read(SOURCE, position, 10)
    assert log.read(SOURCE, 5, 10) is None


def test_a_source_whose_files_are_all_gone_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, b"0\n")
    log = Spool(tmp_path, "visits")
    assert len(read_all(log)) == 1
    file.unlink()
    assert log.bounds(SOURCE) == Bounds(0, 0)
    assert log.read(SOURCE, 0, 10) is None
    with pytest.raises(LogError, match=r"\[0, 1\)"):
        log.read(SOURCE, 1, 10)


def test_what_is_not_utf_8_is_escaped_and_its_neighbours_are_as_ever(
    tmp_path: Path, block: int
) -> None:
    write(tmp_path, "é1\n".encode() + b'{"a": "\xff\xfe"}\n' + "é2\n".encode() + b"\xc3\n")
    expected = [(0, "é1"), (1, '{"a": "\\xff\\xfe"}'), (2, "é2"), (3, "\\xc3")]
    for size in (1, 2, 3, 10):
        assert read_all(Spool(tmp_path, "visits"), 0, size) == expected


def test_empty_lines_are_rows_and_windows_line_ends_are_none_of_the_line(
    tmp_path: Path, block: int
) -> None:
    write(tmp_path, b"\r\n\n{}\r\na\rb\r\n \n")
    expected = list(enumerate(["", "", "{}", "a\rb", " "]))
    for size in (1, 2, 10):
        assert read_all(Spool(tmp_path, "visits"), 0, size) == expected


def test_sources_are_folders_and_come_with_them(tmp_path: Path) -> None:
    log = Spool(tmp_path, "visits")
    assert log.sources() == []
    write(tmp_path, b"", partition="b")
    write(tmp_path, b"", partition="a")
    (tmp_path / "visits/notes.txt").touch()
    assert log.sources() == ["spool/a", "spool/b"]
    (tmp_path / "visits/c").mkdir()
    assert log.sources() == ["spool/a", "spool/b", "spool/c"]
    assert log.bounds("spool/c") == Bounds(0, 0)
    assert log.read("spool/c", 0, 1) is None


def test_files_of_other_names_are_not_read(tmp_path: Path) -> None:
    write(tmp_path, b"0\n")
    for name in ("1.jsonl", "x.jsonl", f"{1:020}.jsonl.tmp", f"{1:021}.jsonl"):
        (tmp_path / "visits/0" / name).write_bytes(b"no\n")
    assert read_all(Spool(tmp_path, "visits")) == [(0, "0")]


def test_reading_on_does_not_read_what_is_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, b"x\n" * 1000)
    log = Spool(tmp_path, "visits")
    assert len(read_all(log, size=400)) == 1000
    starts = []
    blocks = spool._blocks

    def noted(path: Path, offset: int) -> object:
        starts.append(offset)
        return blocks(path, offset)

    monkeypatch.setattr(spool, "_blocks", noted)
    with file.open("ab") as more:
        more.write(b"y\n")
    assert rows(log.read(SOURCE, 1000, 10)) == [(1000, "y")]
    assert log.bounds(SOURCE) == Bounds(0, 1001)
    assert starts
    assert min(starts) == 2000


def test_closed_it_reads_again(tmp_path: Path) -> None:
    write(tmp_path, b"0\n1\n")
    log = Spool(tmp_path, "visits")
    assert len(read_all(log)) == 2
    log.close()
    assert read_all(log) == [(0, "0"), (1, "1")]
