from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake.exceptions import CommitFailedError
from tiny import DAY, TABLE, add, commit_many, ids, now, paths, rows, stored, write

from isopach.lake import commits
from isopach.lake.commits import (
    WRITER,
    Change,
    CommitRefusedError,
    Snapshot,
    commit,
    create_or_open,
    open_table,
    scan,
    version,
)
from isopach.lake.places import Place
from isopach.lake.tables import Table


@pytest.fixture
def lake(tmp_path: Path) -> Place:
    return Place.of(tmp_path)


def test_table_that_was_never_written_is_empty(lake: Place) -> None:
    assert open_table(lake, TABLE) is None
    assert version(lake, TABLE) is None
    frame = scan(lake, TABLE).collect()
    assert frame.is_empty()
    assert frame.columns == TABLE.schema.names


def test_commit_makes_files_visible(lake: Place) -> None:
    file = write(lake, "f1", rows("ab"))
    assert add(lake, file) == version(lake, TABLE) == 1
    assert ids(lake) == ["a", "b"]
    (active,) = now(lake).files
    assert (active.path, active.size, active.rows) == (file.path, file.size, 2)
    assert active.partition == {"business_date": f"{DAY}"}


def test_commit_takes_files_out_and_puts_others_in_at_once(lake: Place) -> None:
    add(lake, write(lake, "f1", rows("ab")), write(lake, "f2", rows("c")))
    new = write(lake, "f3", rows("d"))

    def swap(seen: Snapshot) -> Change:
        return Change([new], [file for file in seen.files if "f1" in file.path])

    commit(lake, TABLE, swap)
    assert ids(lake) == ["c", "d"]


def test_nothing_decided_is_nothing_committed(lake: Place) -> None:
    before = add(lake, write(lake, "f1", rows("a")))
    assert commit(lake, TABLE, lambda _: None) == before == version(lake, TABLE)


def test_loser_of_a_race_decides_anew_on_what_the_winner_left(lake: Place) -> None:
    add(lake, write(lake, "f0", rows("a")))
    seen: list[set[str]] = []

    def decide(snapshot: Snapshot) -> Change:
        seen.append({file.path.rpartition("/")[2] for file in snapshot.files})
        if len(seen) < 4:
            add(lake, write(lake, f"rival{len(seen)}", rows([f"r{len(seen)}"])))
        return Change([write(lake, "mine", rows("m"))])

    assert commit(lake, TABLE, decide) == 5
    assert [len(files) for files in seen] == [1, 2, 3, 4]
    assert ids(lake) == ["a", "m", "r1", "r2", "r3"]


def test_table_is_made_once_by_those_who_need_it_first(lake: Place) -> None:
    start = threading.Barrier(6)
    failed: list[BaseException] = []

    def make() -> None:
        start.wait(60)
        try:
            create_or_open(lake, TABLE)
        except BaseException as error:
            failed.append(error)

    for _ in range(20):
        (lake / "till").delete()
        workers = [threading.Thread(target=make) for _ in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert failed == []
        assert version(lake, TABLE) == 0


def test_two_that_opened_the_same_version_never_both_win(
    lake: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles = [create_or_open(lake, TABLE), create_or_open(lake, TABLE)]
    files = [write(lake, name, rows(name[-1])) for name in ("f1", "f2")]
    monkeypatch.setattr(commits, "create_or_open", lambda *_: handles.pop(0))
    commit(lake, TABLE, lambda _: Change([files[0]]))
    with pytest.raises(IndexError):  # refused, it asks for a newer handle, and there is none
        commit(lake, TABLE, lambda _: Change([files[1]]))
    assert ids(lake) == ["1"]


def test_racer_gives_up_at_last(lake: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "ATTEMPTS", 3)
    rivals: list[str] = []

    def decide(_: Snapshot) -> Change:
        rivals.append(f"r{len(rivals)}")
        add(lake, write(lake, rivals[-1], rows([rivals[-1]])))
        return Change([mine])

    mine = write(lake, "mine", rows("m"))
    with pytest.raises(CommitFailedError):
        commit(lake, TABLE, decide)
    assert ids(lake) == rivals == ["r0", "r1", "r2"]


def test_each_commit_has_the_next_number_of_the_writer(lake: Place) -> None:
    for number in range(1, 4):
        add(lake, write(lake, f"f{number}", rows([f"{number}"])))
        delta = open_table(lake, TABLE)
        assert delta is not None
        assert delta.transaction_version(WRITER) == number


def test_fences_are_recorded_with_the_commit(lake: Place) -> None:
    fences = {"spool/0": 41, "spool/1": 7}
    file = write(lake, "f1", rows("a"))
    commit(lake, TABLE, lambda _: Change([file], fences=fences))
    delta = open_table(lake, TABLE)
    assert delta is not None
    found = {source: delta.transaction_version(f"isopach/{source}") for source in fences}
    assert found == fences
    add(lake, write(lake, "f2", rows("b")))
    delta = open_table(lake, TABLE)
    assert delta is not None
    assert delta.transaction_version("isopach/spool/0") == 41


def test_checkpoints_keep_files_and_numbers(lake: Place) -> None:
    for number in range(104):
        add(lake, write(lake, f"f{number}", rows([f"{number}"])))
    log = Path(lake.path) / "till" / "records" / "_delta_log"
    assert [*log.glob("*.checkpoint.parquet")]
    assert len(ids(lake)) == 104
    delta = open_table(lake, TABLE)
    assert delta is not None
    assert delta.transaction_version(WRITER) == 104


def test_missing_file_is_refused(lake: Place) -> None:
    file = write(lake, "f1", rows("a"))
    (Path(lake.path) / "till" / "records" / file.path).unlink()
    with pytest.raises(CommitRefusedError, match=r"f1\.parquet: is not there, \d+ bytes"):
        add(lake, file)
    assert ids(lake) == []


def test_cut_file_is_refused(lake: Place) -> None:
    file = write(lake, "f1", rows("a"))
    path = Path(lake.path) / "till" / "records" / file.path
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CommitRefusedError, match=rf"has {file.size - 10} bytes, {file.size} bytes"):
        add(lake, file)
    assert ids(lake) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: t.set_column(1, "count", t.column("count").cast(pa.float64())), "'count'"),
        (lambda t: t.append_column("more", t.column("id")), "'more'"),
        (lambda t: t.rename_columns(["id", "number", "site"]), "'number'"),
        (lambda t: t.select(["count", "id", "site"]), "their order"),
    ],
)
def test_file_of_another_schema_is_refused(
    lake: Place, spoil: Callable[[pa.Table], pa.Table], said: str
) -> None:
    good = write(lake, "f0", rows("a"))
    add(lake, good)
    file = write(lake, "f1", rows("b"))
    path = Path(lake.path) / "till" / "records" / file.path
    spoiled = spoil(rows("b").drop_columns("business_date"))
    pq.write_table(spoiled, path, store_schema=False)
    with pytest.raises(CommitRefusedError, match=r"does not fit till/records: .*" + said):
        add(lake, replace(file, size=path.stat().st_size))
    assert paths(lake) == {good.path}


def test_file_that_is_older_than_a_column_is_taken(lake: Place) -> None:
    old = write(lake, "f1", rows("a"))
    wider = Table(TABLE.name, pa.schema([pa.field("new", pa.int32()), *TABLE.schema]))
    add(lake, old, table=wider)
    assert stored(lake, wider) == [
        {"new": None, "id": "a", "count": 1, "site": "A", "business_date": DAY}
    ]


@pytest.mark.parametrize("name", ["my lake", "ü", "a[1]", "a*", "a?b", "a#b", "a:b", "a'b", "{a}"])
def test_lake_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    lake = Place.of(tmp_path / name)
    add(lake, write(lake, "f1", rows("ab")))
    add(lake, write(lake, "f2", rows("c")))
    assert ids(lake) == ["a", "b", "c"]
    assert {row["business_date"] for row in stored(lake)} == {DAY}


def test_threads_lose_and_double_nothing(lake: Place) -> None:
    start = threading.Barrier(6)
    workers = [
        threading.Thread(target=commit_many, args=(lake.uri, who, 6, start)) for who in range(6)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert ids(lake) == sorted(f"{who}-{n}" for who in range(6) for n in range(6))
    assert version(lake, TABLE) == 36


def test_processes_lose_and_double_nothing(lake: Place) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    workers = [
        context.Process(target=commit_many, args=(lake.uri, who, 10, start)) for who in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert ids(lake) == sorted(f"{who}-{n}" for who in range(4) for n in range(10))
    assert version(lake, TABLE) == 40
