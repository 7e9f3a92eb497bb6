from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from small_stream import SmallStream, assert_same_streams, line
from tenacity import wait_none
from typer.testing import CliRunner

from isopach.feeds.spool import SpoolWriter
from isopach.jobs import micro_batches
from isopach.jobs.cli import app

STEP = 24
"""Kilobytes by which the room on the disk grows, from none, until a stream has enough."""


def streamed(stream: SmallStream, spool: Path) -> tuple[int, str]:
    """Stream a spool until idle; return the exit code and what was said on stderr."""
    declaration = str(stream.declaration.path)
    where = ["--source", f"spool:{spool}", "--lake", stream.lake.path]
    found = CliRunner().invoke(app, ["stream", declaration, *where, "--until-idle"])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, found.stderr


def filled(spool: Path, first: int, rows: int) -> None:
    for partition in ("0", "1"):
        with SpoolWriter(spool, "visits", partition) as writer:
            sent = [
                line("nyc", f"{partition}/{n}", f"2026-03-08T{12 + n % 9}:00", minutes=n % 3)
                for n in range(first, first + rows)
            ]
            writer.append([*sent, "{", sent[0]])


# What pyarrow's writer cannot close it cannot close either when it is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_a_full_disk_ends_a_stream_and_with_room_again_nothing_is_lost_or_doubled(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(micro_batches, "wait_exponential", lambda **_: wait_none())
    before = SmallStream.at(tmp_path)
    spool = tmp_path / "spool"
    filled(spool, 0, 20)
    assert streamed(before, spool)[0] == 0
    filled(spool, 20, 300)
    after = before.other_lake("after")
    shutil.copytree(before.lake.path, after.lake.path)
    assert streamed(after, spool)[0] == 0
    will_be, rows = after.streamed(), set[int]()

    for free in count(step=STEP * 1024):
        stream = SmallStream(small_disk, before.declaration)
        shutil.copytree(before.lake.path, stream.lake.path)
        there = os.statvfs(small_disk)
        (small_disk / "filler").write_bytes(bytes(max(there.f_bavail * there.f_frsize - free, 0)))
        code, said = streamed(stream, spool)
        if code == 0:
            break
        assert code == 1
        assert said.strip().splitlines()[-1].startswith("no space left: ")
        assert set(stream.positions().values()) == {1}
        rows.add(stream.table("records").height)

        (small_disk / "filler").unlink()
        assert streamed(stream, spool)[0] == 0
        assert_same_streams(will_be, stream.streamed())
        assert stream.findings() == []
        shutil.rmtree(stream.lake.path)
    assert_same_streams(will_be, stream.streamed())
    assert rows == {before.table("records").height, after.table("records").height}


def test_a_retry_after_a_disk_that_was_full_for_a_moment_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr(micro_batches, "wait_exponential", lambda **_: wait_none())
    stream, spool = SmallStream.at(tmp_path), tmp_path / "spool"
    filled(spool, 0, 20)
    write_table, failed = pq.write_table, list[str]()

    def failing(rows: Any, *args: Any, **options: Any) -> None:
        if "note" in rows.schema.names and len(failed) < 2:
            failed.append("full")
            raise OSError(28, os.strerror(28), "the file")
        write_table(rows, *args, **options)

    monkeypatch.setattr(pq, "write_table", failing)
    assert streamed(stream, spool)[0] == 0
    assert len(failed) == 2
    assert stream.positions().total() == 44
    assert stream.findings() == []
