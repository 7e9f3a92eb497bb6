from __future__ import annotations

import json
from pathlib import Path
from threading import Thread

import pytest
from tiny import TABLE, add, ids, now, rows, stored, write

from isopach.lake import compact as module
from isopach.lake.commits import Change, commit
from isopach.lake.compact import compact
from isopach.lake.places import Place


@pytest.fixture
def lake(tmp_path: Path) -> Place:
    return Place.of(tmp_path)


def many(lake: Place, number: int, first: int = 0) -> None:
    for n in range(first, first + number):
        add(lake, write(lake, f"f{n}", rows([f"{n:03}"])))


def test_small_files_become_one_with_the_same_rows(lake: Place) -> None:
    many(lake, 5)
    before = stored(lake)
    assert compact(lake, TABLE, fewest=3) == 4
    assert stored(lake) == before
    assert len(now(lake).files) == 1
    assert compact(lake, TABLE, fewest=3) == 0


def test_few_or_large_files_stay(lake: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    many(lake, 4)
    assert compact(lake, TABLE, fewest=5) == 0
    monkeypatch.setattr(module, "SMALL", 1)
    assert compact(lake, TABLE, fewest=2) == 0
    assert len(now(lake).files) == 4


def test_what_is_read_at_a_time_is_bounded(lake: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    many(lake, 6)
    monkeypatch.setattr(module, "MOST", sum(f.size for f in now(lake).files) // 2)
    assert compact(lake, TABLE, fewest=2) == 2
    assert ids(lake) == [f"{n:03}" for n in range(6)]


def test_followers_are_told_that_the_rows_are_the_same(lake: Place, tmp_path: Path) -> None:
    many(lake, 3)
    compact(lake, TABLE, fewest=2)
    log = sorted((tmp_path / TABLE.name / "_delta_log").glob("*.json"))[-1]
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    changes = [a[kind]["dataChange"] for a in actions for kind in ("add", "remove") if kind in a]
    assert changes == [False] * 4


def test_files_that_another_took_away_are_left_alone(
    lake: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(lake, 4)
    write_rows = module.write_rows

    def meanwhile(*args: object) -> object:
        file = write_rows(*args)  # type: ignore[arg-type]
        monkeypatch.undo()
        commit(lake, TABLE, lambda seen: Change(remove=seen.files[:1]))
        return file

    monkeypatch.setattr(module, "write_rows", meanwhile)
    before = set(Path(TABLE.place(lake).path).rglob("*.parquet"))
    assert compact(lake, TABLE, fewest=2) == 0
    assert len(ids(lake)) == 3
    assert set(Path(TABLE.place(lake).path).rglob("*.parquet")) == before


def test_beside_a_writer_nothing_is_lost(lake: Place) -> None:
    many(lake, 3)
    writer = Thread(target=many, args=(lake, 40, 3))
    writer.start()
    while writer.is_alive():
        compact(lake, TABLE, fewest=3)
    writer.join()
    assert ids(lake) == [f"{n:03}" for n in range(43)]
    compact(lake, TABLE, fewest=2)
    assert len(now(lake).files) == 1
