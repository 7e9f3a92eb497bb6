from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isopach.feeds.spool import BLOCK_BYTES, SpoolError, SpoolWriter

WRITE_ON = """\
import sys
from pathlib import Path
from isopach.feeds.spool import SpoolWriter
with SpoolWriter(Path(sys.argv[1]), "till", "0", file_rows=500) as writer:
    while True:
        writer.append([f"line {writer.position + n}" for n in range(7)])
"""


def write(root: Path, *lines: str, **options: int) -> int:
    with SpoolWriter(root, "till", "0", **options) as writer:
        return writer.append(lines)


def stored(root: Path) -> list[str]:
    """Return a partition's lines; the files' names must be the positions of their first lines."""
    lines: list[str] = []
    for path in sorted((root / "till" / "0").iterdir()):
        assert path.name == f"{len(lines):020}.jsonl"
        text = path.read_bytes().decode()
        assert text.endswith("\n") or not text
        lines += text.split("\n")[:-1]
    return lines


def test_lines_follow_each_other(tmp_path: Path) -> None:
    assert write(tmp_path, "a", "b") == 0
    assert write(tmp_path, "ü") == 2
    assert write(tmp_path) == 3
    assert write(tmp_path, "", "c") == 3
    assert stored(tmp_path) == ["a", "b", "ü", "", "c"]


def test_a_series_is_written_as_a_list_is(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path, "till", "0") as writer:
        assert writer.append(pl.Series(["a", "b"])) == 0
        assert writer.append(pl.Series([], dtype=pl.String)) == 2
        assert writer.position == 2
    assert stored(tmp_path) == ["a", "b"]


def test_a_reader_sees_lines_when_append_returns(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path, "till", "0", fsync=True) as writer:
        for line in ("a", "b", "c"):
            writer.append([line])
            assert stored(tmp_path)[-1] == line


@pytest.mark.parametrize(
    ("limits", "expected"), [({"file_rows": 3}, [0, 4, 8]), ({"file_bytes": 4}, [0, 2, 4, 6, 8])]
)
def test_full_files_are_followed_by_others(
    tmp_path: Path, limits: dict[str, int], expected: list[int]
) -> None:
    for n in range(0, 10, 2):
        assert write(tmp_path, str(n), str(n + 1), **limits) == n
    assert stored(tmp_path) == list("0123456789")
    assert [int(p.stem) for p in sorted((tmp_path / "till" / "0").iterdir())] == expected


def test_cut_off_at_any_byte_it_goes_on_after_the_last_whole_line(tmp_path: Path) -> None:
    write(tmp_path, "first", "file", file_rows=2)
    lines = ["a", "", "bü", "cdef", "x"]
    assert write(tmp_path, *lines, file_rows=2) == 2
    last = tmp_path / "till" / "0" / f"{2:020}.jsonl"
    whole = last.read_bytes()
    for size in range(len(whole) + 1):
        last.write_bytes(whole[:size])
        kept = whole[:size].count(b"\n")
        assert write(tmp_path, "next") == 2 + kept
        assert stored(tmp_path) == ["first", "file", *lines[:kept], "next"]


def test_a_torn_line_longer_than_a_block_is_cut(tmp_path: Path) -> None:
    write(tmp_path, "a" * (BLOCK_BYTES + 7), "b")
    path = tmp_path / "till" / "0" / f"{0:020}.jsonl"
    path.write_bytes(path.read_bytes() + b"c" * (2 * BLOCK_BYTES + 1))
    assert write(tmp_path, "d") == 2
    assert [line[0] for line in stored(tmp_path)] == ["a", "b", "d"]


LINES = st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])))


@given(appends=st.lists(st.tuples(LINES, st.booleans())), file_rows=st.integers(1, 5))
def test_any_appends_and_reopenings_store_all_lines(
    tmp_path_factory: pytest.TempPathFactory, appends: list[tuple[list[str], bool]], file_rows: int
) -> None:
    root = tmp_path_factory.mktemp("spool")
    writer = SpoolWriter(root, "till", "0", file_rows=file_rows)
    expected: list[str] = []
    for lines, reopen in appends:
        assert writer.append(lines) == len(expected)
        expected += lines
        if reopen:
            writer.close()
            writer = SpoolWriter(root, "till", "0", file_rows=file_rows)
    writer.close()
    assert stored(root) == expected


def test_a_killed_writer_leaves_whole_lines_behind(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITE_ON, str(tmp_path)])
    while len(list(tmp_path.rglob("*.jsonl"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = write(tmp_path, "next")
    assert stored(tmp_path) == [*(f"line {n}" for n in range(first)), "next"]
    assert first > 1000


@pytest.mark.parametrize("line", ["a\nb", "a\n", "a\rb"])
def test_line_breaks_are_refused(tmp_path: Path, line: str) -> None:
    with SpoolWriter(tmp_path, "till", "0") as writer:
        with pytest.raises(ValueError, match="line 1 is none, or has a line break in it: 'a"):
            writer.append(["good", line])
        assert writer.append(["next"]) == 0
    assert stored(tmp_path) == ["next"]


def test_no_line_is_refused(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path, "till", "0") as writer, pytest.raises(ValueError, match="line 1"):
        writer.append(pl.Series(["a", None]))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "ü", "a b"])
def test_odd_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a feed or partition"):
        SpoolWriter(tmp_path, "till", name)
    with pytest.raises(ValueError, match="cannot name a feed or partition"):
        SpoolWriter(tmp_path, name, "0")


def test_two_writers_at_once_are_refused(tmp_path: Path) -> None:
    with (
        SpoolWriter(tmp_path, "till", "0"),
        pytest.raises(SpoolError, match=r"till/0: another writer has this partition"),
    ):
        SpoolWriter(tmp_path, "till", "0")
    assert write(tmp_path, "a") == 0


def test_files_of_others_are_refused_and_the_partition_let_go(tmp_path: Path) -> None:
    write(tmp_path, "a")
    other = tmp_path / "till" / "0" / "old.jsonl"
    other.touch()
    with pytest.raises(SpoolError, match=r"old\.jsonl: not named by 20 digits"):
        write(tmp_path, "b")
    other.unlink()
    assert write(tmp_path, "b") == 1


def test_after_a_failed_write_a_new_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SpoolWriter(tmp_path, "till", "0")
    really = os.write
    written: list[bytes] = []

    def half(file: int, text: bytes) -> int:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(bytes(text[:5]))
        return really(file, written[0])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left"):
        writer.append(["abc", "def"])
    monkeypatch.undo()
    with pytest.raises(SpoolError, match="the writer is closed; open another"):
        writer.append(["abc"])
    assert write(tmp_path, "next") == 1
    assert stored(tmp_path) == ["abc", "next"]
