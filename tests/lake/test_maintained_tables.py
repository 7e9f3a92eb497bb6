from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from tiny import TABLE, add, ids, now, paths, rows, stored, write

from isopach.lake.commits import Change, commit
from isopach.lake.compact import compact
from isopach.lake.delta_log import log_faults, lost_fences, read_log, tidy_log
from isopach.lake.places import Place
from isopach.lake.vacuum import deletable, delete

WEEK = timedelta(days=7)
LATER = datetime.now(UTC) + timedelta(days=8)


@pytest.fixture
def lake(tmp_path: Path) -> Place:
    return Place.of(tmp_path)


def folder(lake: Place) -> Path:
    return Path(TABLE.place(lake).path)


def age(path: Path, days: float) -> None:
    """Have a file, or all files of a folder, changed last some days ago."""
    then = datetime.now(UTC).timestamp() - days * 86400
    for one in path.rglob("*") if path.is_dir() else [path]:
        os.utime(one, (then, then))


def age_log(lake: Place, last: int, days: float) -> None:
    for name in folder(lake).glob("_delta_log/*.json"):
        if int(name.stem) <= last:
            age(name, days)


def fenced(lake: Place, number: int) -> None:
    """Commit some files, with fences of which some are recorded once and never again."""
    for n in range(number):
        file = write(lake, f"f{n}", rows([f"{n:03}"]))
        fences = {"spool:s/0": n + 1, f"once/{n}": 7, "landing": n, "zero": 0}
        commit(lake, TABLE, lambda _, file=file, fences=fences: Change([file], fences=fences))


def gone(lake: Place, retention: timedelta = WEEK, moment: datetime | None = None) -> set[str]:
    found = deletable(lake, TABLE, "till", retention, moment or datetime.now(UTC))
    return {file.path.rpartition("/")[2] for file in found}


# Vacuum


def test_files_that_were_removed_stay_for_as_long_as_the_retention(lake: Place) -> None:
    fenced(lake, 3)
    compact(lake, TABLE, fewest=2)
    removed = {f"f{n}.parquet" for n in range(3)}
    assert gone(lake) == set()
    assert gone(lake, moment=LATER) == removed
    age(folder(lake), 8)
    assert gone(lake) == removed
    assert gone(lake, timedelta(days=9)) == set()
    found = deletable(lake, TABLE, "till", WEEK, datetime.now(UTC))
    told: list[int] = []
    assert delete(lake, TABLE, found, told.append) == found
    assert told == [1, 2, 3]
    assert ids(lake) == ["000", "001", "002"]
    assert {p.name for p in folder(lake).rglob("*.parquet")} == {
        path.rpartition("/")[2] for path in paths(lake)
    }


def test_every_version_within_the_retention_can_still_be_read(lake: Place) -> None:
    fenced(lake, 4)
    compact(lake, TABLE, fewest=2)
    fenced(lake, 2)  # the same names again: they are there once more
    age(folder(lake), 8)
    age_log(lake, 99, 2)  # all commits are recent: old files were removed two days ago
    age_log(lake, 3, 20)
    delete(lake, TABLE, deletable(lake, TABLE, "till", WEEK, datetime.now(UTC)), lambda _: None)
    for version in range(4, now(lake).version + 1):
        at = DeltaTable(TABLE.place(lake).uri, version=version)
        assert at.to_pyarrow_dataset().to_table(use_threads=False).num_rows >= 4


@pytest.mark.parametrize("name", ["lost.parquet", "lost.parquet#1", ".lost.parquet.crc"])
def test_orphans_go_when_they_are_old(lake: Place, name: str) -> None:
    fenced(lake, 1)
    orphan = folder(lake) / "business_date=2026-03-08" / name
    orphan.write_bytes(b"half")
    age(folder(lake), 6)
    assert gone(lake) == set()
    age(folder(lake), 8)
    assert gone(lake) == {name}


def test_what_is_younger_than_an_hour_stays_however_short_the_retention(lake: Place) -> None:
    fenced(lake, 1)
    write(lake, "staged", rows(["x"]))
    assert gone(lake, timedelta(0)) == set()
    age(folder(lake), 0.05)
    assert gone(lake, timedelta(0)) == {"staged.parquet"}


def test_what_is_no_data_file_stays(lake: Place) -> None:
    fenced(lake, 1)
    for name in ("notes.txt", "_delta_log/x.parquet", "_marks/y.parquet"):
        (folder(lake) / name).parent.mkdir(exist_ok=True)
        (folder(lake) / name).write_bytes(b"x")
    age(folder(lake), 99)
    assert gone(lake) == set()


def test_part_of_a_visible_file_is_not_taken_for_an_orphan(lake: Place) -> None:
    fenced(lake, 1)
    (folder(lake) / "business_date=2026-03-08" / ".f0.parquet.crc").write_bytes(b"x")
    age(folder(lake), 99)
    assert gone(lake) == set()


def test_the_library_s_own_vacuum_would_take_what_is_staged(lake: Place) -> None:
    """Why files are listed here: once the library knows better, this may go."""
    fenced(lake, 1)
    write(lake, "staged", rows(["x"]))
    named = now(lake).delta.vacuum(0, dry_run=True, enforce_retention_duration=False, full=True)
    assert any(path.endswith("staged.parquet") for path in named)


# The log


def test_fences_outlive_checkpoint_and_expiry(lake: Place) -> None:
    fenced(lake, 12)
    before, seen = read_log(lake, TABLE).fences(), stored(lake)
    assert before["isopach/spool:s/0"] == 12
    assert len(before) == 16
    age_log(lake, 99, 40)
    assert tidy_log(lake, TABLE, WEEK)
    log = read_log(lake, TABLE)
    assert [file.version for file in log.commits] == [12]
    assert log.fences() == before
    for name, at in before.items():
        assert now(lake).delta.transaction_version(name) == at
    assert stored(lake) == seen
    assert list(log_faults(log)) == []
    fenced(lake, 1)
    assert now(lake).fence("once/11") == 7
    assert now(lake).fence("writer") == 13


def test_fences_outlive_the_checkpoints_that_the_library_writes_by_itself(lake: Place) -> None:
    fenced(lake, 3)
    for n in range(110):
        commit(lake, TABLE, lambda _, n=n: Change(fences={"spool:s/1": n}))
    log = read_log(lake, TABLE)
    assert log.checkpoints
    expected = {"isopach/once/0": 7, "isopach/spool:s/0": 3, "isopach/spool:s/1": 109}
    assert log.fences().items() >= expected.items()
    for name, at in expected.items():
        assert now(lake).delta.transaction_version(name) == at


def test_versions_that_have_not_expired_can_be_read(lake: Place) -> None:
    fenced(lake, 8)
    age_log(lake, 5, 40)
    tidy_log(lake, TABLE, WEEK)
    for version in (6, 7, 8):
        assert DeltaTable(TABLE.place(lake).uri, version=version).version() == version


def test_the_log_stays_for_as_long_as_versions_are_kept(lake: Place) -> None:
    fenced(lake, 4)
    age_log(lake, 99, 40)
    assert not tidy_log(lake, TABLE, timedelta(days=60))
    assert len(read_log(lake, TABLE).commits) == 5


def test_a_checkpoint_that_lost_fences_deletes_nothing(
    lake: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fenced(lake, 4)
    age_log(lake, 99, 40)
    monkeypatch.setattr("isopach.lake.delta_log.checkpoint_fences", lambda _: {})
    assert not tidy_log(lake, TABLE, WEEK)
    assert len(read_log(lake, TABLE).commits) == 5


def test_lost_fences_are_told() -> None:
    before = {"isopach/a": 3, "isopach/b": 1, "isopach/landing/token": 9}
    after = {"isopach/a": 2, "isopach/landing/token": 4}
    assert list(lost_fences(before, after)) == [
        "isopach/a went back from 3 to 2", "isopach/b is gone, was 1"
    ]  # fmt: skip
    assert list(lost_fences(after, before)) == []


def test_what_is_wrong_with_a_log_is_told(lake: Place) -> None:
    add(lake, write(lake, "a", rows(["a"])))
    fenced(lake, 3)
    log = folder(lake) / "_delta_log"
    (log / f"{4:020}.json").write_bytes(b"")
    (log / f"{2:020}.json").unlink()
    assert list(log_faults(read_log(lake, TABLE))) == [
        "_delta_log: version 2 is not there", f"_delta_log/{4:020}.json: is empty"
    ]  # fmt: skip
    (log / f"{0:020}.json").unlink()
    assert "_delta_log: begins at version 1, without a checkpoint" in log_faults(
        read_log(lake, TABLE)
    )
