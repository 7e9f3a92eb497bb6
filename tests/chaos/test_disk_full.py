from __future__ import annotations

import errno
import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_night import DAY, ZONES, SmallNight, assert_same, declare, row, rows
from typer.testing import CliRunner

from isopach.jobs.cli import app

STEP = 16
"""Kilobytes by which the room on the disk grows, from none, until a night has enough."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A lake with a night that is to be run again, as all sites delivered anew."""
    folder = tmp_path_factory.mktemp("before")
    night = SmallNight(folder, declare(folder))
    for site in ZONES:
        night.deliver(site, [*rows(site, 50), row(site, "bad", fee="x")])
    night.run()
    for site in ZONES:
        sent = [*rows(site, 40), row(site, "worse", fee="y")]
        night.deliver(site, sent, name="d2", at="2026-03-09T05:00:00Z")
    return night


@pytest.fixture(scope="module")
def after(before: SmallNight, tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """The same, run again with all the room in the world."""
    folder = tmp_path_factory.mktemp("after") / "night"
    shutil.copytree(before.folder, folder)
    night = SmallNight(folder, before.declaration)
    night.run()
    return night


def run(night: SmallNight, lake: Path) -> tuple[int, str]:
    """Run the night into a lake; return the exit code and what was said on stderr."""
    arguments = ["--landing", night.landing.path, "--lake", str(lake), "--date", f"{DAY}"]
    declaration = str(night.folder / "visits.yaml")
    found = CliRunner().invoke(app, ["nightly", declaration, *arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, found.stderr


def data_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.glob("lake/visits/*/*/*.parquet")}


# What pyarrow's writer cannot close it cannot close either when it is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_a_full_disk_publishes_nothing_half_and_the_next_run_succeeds(
    before: SmallNight, after: SmallNight, small_disk: Path
) -> None:
    was, will_be = before.content(), after.content()
    begun: list[bool] = []
    for free in count(step=STEP * 1024):
        night = SmallNight(small_disk, before.declaration)
        shutil.copytree(before.folder / "lake", small_disk / "lake")
        there = os.statvfs(small_disk)
        (small_disk / "filler").write_bytes(bytes(there.f_bavail * there.f_frsize - free))

        code, said = run(before, small_disk / "lake")
        if code == 0:
            break
        assert code == 1
        assert said.startswith("no space left: ")
        assert said.count("\n") == 1
        assert "\x1b" not in said
        records = night.content()["records"]
        assert records.equals(was["records"]) or records.equals(will_be["records"])
        verdicts = list(small_disk.glob("lake/visits/_staging/*/verdicts.json"))
        begun.append(bool(verdicts))
        if not verdicts:
            assert_same(was, night.content())
            assert data_files(small_disk) == data_files(before.folder)
            assert not list(small_disk.glob("lake/visits/_staging/*/*.json"))

        (small_disk / "filler").unlink()
        assert run(before, small_disk / "lake") == (0, "")
        assert_same(will_be, night.content())
        assert night.findings() == []
        shutil.rmtree(small_disk / "lake")
    assert_same(will_be, night.content())
    assert begun == sorted(begun)
    assert set(begun) == {False, True}


@pytest.mark.parametrize("table", ["records", "quarantine", "totals_by_minutes"])
def test_a_file_that_cannot_be_written_fails_the_run(
    before: SmallNight,
    after: SmallNight,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
) -> None:
    shutil.copytree(before.folder / "lake", tmp_path / "lake")
    night = SmallNight(tmp_path, before.declaration)
    write_table = pq.write_table
    unlike = {
        "records": "note", "quarantine": "disposition", "totals_by_minutes": "visits"
    }[table]  # fmt: skip

    def failing(rows: Any, *args: Any, **options: Any) -> None:
        if unlike in rows.schema.names:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the file")
        write_table(rows, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", failing)
        code, said = run(before, tmp_path / "lake")
    assert (code, said.startswith("no space left: [Errno 28] No space left on device")) == (1, True)
    assert_same(before.content(), night.content())
    assert data_files(tmp_path) == data_files(before.folder)
    outcomes = night.table("runs")["outcome"].sort().to_list()
    assert [outcome[:7] for outcome in outcomes] == ["failed:", "publish"]
    assert run(before, tmp_path / "lake") == (0, "")
    assert_same(after.content(), night.content())
