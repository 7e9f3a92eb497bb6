from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from tiny import DAY, NEXT, now

from isopach.lake import commits, replace, tables
from isopach.lake.commits import open_table, scan
from isopach.lake.files import DataFile, write_file
from isopach.lake.ledger import Run, new_run, record_run
from isopach.lake.places import Place
from isopach.lake.publish import publish
from isopach.lake.staged import Staged, read_staged, write_staged
from isopach.lake.tables import FeedTables
from isopach.lake.verdicts import VERDICTS, Verdict, read_verdicts, write_verdicts
from isopach.lake.windows import checksum_text

PAYLOAD = pa.schema({"id": pa.large_string(), "amount": pa.int64()})
TOTAL = pa.schema({"site": pa.large_string(), "business_date": pa.date32(), "amount": pa.int64()})
TO = FeedTables(
    "till",
    tables.records("till", PAYLOAD),
    tables.quarantine("till"),
    {"all": tables.totals("till", "all", TOTAL)},
)
Rows = dict[str, list[int]]
"""By site: the amounts of its rows; a negative one is set aside."""


@dataclass
class Night:
    """A lake, and runs staged into it."""

    lake: Place
    staged: dict[str, Place] = field(default_factory=dict)

    def stage(
        self,
        run: str,
        rows: Rows,
        held: dict[str, str] | None = None,
        day: date = DAY,
        groups: list[str] | None = None,
    ) -> Place:
        """Stage a run: one file of records for each group of sites, such as "AB"."""
        good = {site: [n for n in amounts if n >= 0] for site, amounts in rows.items()}
        bad = {site: [n for n in amounts if n < 0] for site, amounts in rows.items()}
        files: dict[str, list[DataFile]] = {"records": [], "quarantine": [], "totals_all": []}
        for group in groups or [*rows]:
            windows = tuple((site, f"{day}") for site in group if good[site])
            made = [
                {"id": f"{site}{n}", "amount": n, "site": site}
                for site in group
                for n in good[site]
            ]
            if made:
                files["records"].append(self._file(TO.records, made, run, day, group, windows))
        aside = [
            {"disposition": "rejected", "reason": "negative", "raw": f"{n}", "site": site}
            for site, amounts in bad.items()
            for n in amounts
        ]
        if aside:
            files["quarantine"].append(self._file(TO.quarantine, aside, run, day, "q"))
        sums = [{"site": site, "amount": sum(n)} for site, n in good.items() if n]
        if sums:
            files["totals_all"].append(self._file(TO.totals["all"], sums, run, day, "t"))
        counts = {
            (site, day): {
                "read": len(amounts),
                "accepted": len(good[site]),
                "rejected": len(bad[site]),
                "late": 0,
                "duplicate": 0,
                "bytes": 10 * len(amounts),
                "checksum_a": sum(good[site]),
                "checksum_b": 2**64 - 1,
            }
            for site, amounts in rows.items()
        }
        folder = self.lake / f"till/_staging/{run}"
        write_staged(folder, Staged(files, counts))
        verdicts = [
            Verdict(site, day, (held or {}).get(site), len(amounts), "d1")
            for site, amounts in rows.items()
        ]
        write_verdicts(folder, verdicts)
        self.staged[run] = folder
        return folder

    def _file(
        self,
        table: tables.Table,
        rows: list[dict[str, Any]],
        run: str,
        day: date,
        name: str,
        windows: tuple[tuple[str, str], ...] = (),
    ) -> DataFile:
        stamps = {"business_date": day, "_mode": "batch", "_run": run}
        data = pa.Table.from_pylist([row | stamps for row in rows], table.schema)
        return write_file(self.lake, table, data, f"{run}-{day}-{name}", windows)

    def publish(self, run: str) -> int:
        return publish(self.lake, TO, run, self.staged[run])

    def amounts(self, table: tables.Table = TO.records, day: date = DAY) -> dict[str, list[int]]:
        found = scan(self.lake, table).filter(pl.col("business_date") == day).collect()
        by_site = found.sort("amount").group_by("site", maintain_order=True).agg("amount")
        return dict(by_site.sort("site").iter_rows())

    def aside(self) -> list[tuple[str, str, str]]:
        return sorted(scan(self.lake, TO.quarantine).select("site", "raw", "_run").collect().rows())

    def windows(self) -> dict[str, dict[str, Any]]:
        found = scan(self.lake, tables.WINDOWS).collect()
        return {row["site"]: row for row in found.iter_rows(named=True)}

    def everything(self) -> dict[str, list[Any]]:
        """Return the rows of all tables, without moments and versions."""
        content = {}
        for table in (
            TO.records,
            TO.quarantine,
            *TO.totals.values(),
            tables.COUNTS,
            tables.WINDOWS,
        ):
            frame = scan(self.lake, table).collect()
            frame = frame.drop("updated", "version", strict=False)
            content[table.name] = sorted(map(repr, frame.rows()))
        return content


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(Place.of(tmp_path))


def test_settled_windows_are_published(night: Night) -> None:
    night.stage("r1", {"A": [1, 2, -3], "B": [4]})
    version = night.publish("r1")
    assert night.amounts() == {"A": [1, 2], "B": [4]}
    assert night.amounts(TO.totals["all"]) == {"A": [3], "B": [4]}
    assert night.aside() == [("A", "-3", "r1")]
    row = night.windows()["A"]
    assert (row["state"], row["rows"], row["settled_by"], row["reason"]) == (
        "settled",
        2,
        "r1",
        None,
    )
    assert row["checksum"] == checksum_text(3, 2**64 - 1) == "0000000000000003ffffffffffffffff"
    assert row["version"] == version
    delta = open_table(night.lake, TO.records)
    assert delta is not None
    assert delta.version() == version


def test_counts_are_kept_for_each_run(night: Night) -> None:
    night.stage("r1", {"A": [1, -2], "B": [3]}, held={"B": "declared 2 rows, read 1 (-1)"})
    night.publish("r1")
    night.stage("r2", {"B": [3, 4]})
    night.publish("r2")
    found = scan(night.lake, tables.COUNTS).collect().sort("run", "site")
    assert found.select("run", "site", "read", "accepted", "rejected", "reason").rows() == [
        ("r1", "A", 2, 1, 1, None),
        ("r1", "B", 1, 1, 0, "declared 2 rows, read 1 (-1)"),
        ("r2", "B", 2, 2, 0, None),
    ]


def test_files_of_settled_windows_are_not_copied(night: Night) -> None:
    folder = night.stage("r1", {"A": [1], "B": [2], "C": [3]}, groups=["AB", "C"])
    night.publish("r1")
    staged = {file.path for file in read_staged(folder).files["records"]}
    assert {file.path for file in now(night.lake, TO.records).files} == staged


def test_held_window_is_not_visible_and_its_neighbours_are(night: Night) -> None:
    folder = night.stage("r1", {"A": [1], "B": [2], "C": [3]}, {"B": "why"}, groups=["AB", "C"])
    night.publish("r1")
    assert night.amounts() == {"A": [1], "C": [3]}
    assert night.amounts(TO.totals["all"]) == {"A": [1], "C": [3]}
    mixed, pure = (file.path for file in read_staged(folder).files["records"])
    visible = {file.path for file in now(night.lake, TO.records).files}
    assert pure in visible
    assert mixed not in visible
    row = night.windows()["B"]
    assert (row["state"], row["rows"], row["reason"]) == ("held", 0, "why")
    assert row["checksum"] == "0" * 32


def test_file_of_held_windows_alone_is_left_out(night: Night) -> None:
    night.stage("r1", {"A": [1], "B": [2]}, {"B": "why"})
    night.publish("r1")
    assert len(now(night.lake, TO.records).files) == 1


def test_new_run_replaces_whole_windows(night: Night) -> None:
    night.stage("r1", {"A": [1, 2, -3], "B": [4, -5], "C": [6]}, groups=["ABC"])
    night.publish("r1")
    night.stage("r2", {"A": [10, -11], "B": []})
    night.publish("r2")
    assert night.amounts() == {"A": [10], "C": [6]}
    assert night.amounts(TO.totals["all"]) == {"A": [10], "C": [6]}
    assert night.aside() == [("A", "-11", "r2")]
    assert {site: row["rows"] for site, row in night.windows().items()} == {"A": 1, "B": 0, "C": 1}
    assert night.windows()["C"]["settled_by"] == "r1"


def test_held_window_keeps_what_it_rests_on(night: Night) -> None:
    night.stage("r1", {"A": [1, 2, -3], "B": [4, -5]})
    night.publish("r1")
    night.stage("r2", {"A": [10, -11], "B": [40, -50]}, {"A": "declared 3 rows, read 2 (-1)"})
    night.publish("r2")
    assert night.amounts() == {"A": [1, 2], "B": [40]}
    assert night.amounts(TO.totals["all"]) == {"A": [3], "B": [40]}
    assert night.aside() == [("A", "-11", "r2"), ("A", "-3", "r1"), ("B", "-50", "r2")]
    row = night.windows()["A"]
    assert (row["state"], row["rows"], row["settled_by"], row["run"]) == ("settled", 2, "r1", "r2")
    assert row["reason"] == "declared 3 rows, read 2 (-1)"
    night.stage("r3", {"A": [10, 20]})
    night.publish("r3")
    assert night.amounts()["A"] == [10, 20]
    assert night.windows()["A"]["reason"] is None
    assert night.aside() == [("B", "-50", "r2")]


def test_other_days_and_feeds_stay(night: Night) -> None:
    night.stage("r1", {"A": [1]}, day=NEXT)
    night.publish("r1")
    night.stage("r2", {"A": [2]})
    night.publish("r2")
    assert (night.amounts(day=NEXT), night.amounts()) == ({"A": [1]}, {"A": [2]})


@pytest.mark.parametrize("held", [{}, {"B": "why"}, {"A": "why", "B": "why", "C": "why"}])
def test_publishing_again_changes_nothing(night: Night, held: dict[str, str]) -> None:
    night.stage("r0", {"A": [7], "B": [8, -9], "C": [9]}, groups=["ABC"])
    night.publish("r0")
    night.stage("r1", {"A": [1, -2], "B": [3, -4], "C": [5]}, held, groups=["AB", "C"])
    night.publish("r1")
    once = night.everything()
    files = {file.path for file in now(night.lake, TO.records).files}
    night.publish("r1")
    assert night.everything() == once
    if not held:
        assert {file.path for file in now(night.lake, TO.records).files} == files


def test_day_without_rows_settles(night: Night) -> None:
    night.stage("r1", {"A": []})
    night.publish("r1")
    assert night.windows()["A"]["state"] == "settled"
    assert night.amounts() == {}


class CrashError(Exception):
    """The process died here."""


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, bool], None]]:
    """Let the Nth commit from now on fail, before or after it is done."""

    def arm(number: int, done: bool) -> None:
        calls = iter(range(1, 100))

        def commit(*args: Any, **kwargs: Any) -> int:
            this = next(calls) == number
            if this and not done:
                raise CrashError
            version = commits.commit(*args, **kwargs)
            if this:
                raise CrashError
            return version

        monkeypatch.setattr(replace, "commit", commit)

    yield arm
    monkeypatch.undo()


COMMITS = 6
"""Windows closed to streams, quarantine, one total, counts, records, windows."""


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("number", range(1, COMMITS + 1))
@pytest.mark.parametrize("held", [{}, {"B": "why"}])
def test_run_that_was_stopped_is_finished_by_publishing_again(
    tmp_path: Path,
    crash: Callable[[int, bool], None],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    done: bool,
    held: dict[str, str],
) -> None:
    def first(night: Night) -> None:
        night.stage("r0", {"A": [7, -8], "B": [8, -9], "C": [9]}, groups=["ABC"])
        night.publish("r0")
        night.stage("r1", {"A": [1, -2], "B": [3, -4], "C": [5]}, held, groups=["AB", "C"])

    undisturbed, stopped = Night(Place.of(tmp_path / "a")), Night(Place.of(tmp_path / "b"))
    for one in (undisturbed, stopped):
        first(one)
    undisturbed.publish("r1")
    crash(number, done)
    with pytest.raises(CrashError):
        stopped.publish("r1")
    monkeypatch.undo()
    if number < COMMITS - 1 or (number == COMMITS - 1 and not done):
        assert stopped.amounts() == {"A": [7], "B": [8], "C": [9]}, "records are last"
    stopped.publish("r1")
    assert stopped.everything() == undisturbed.everything()


def test_publishing_takes_the_commits_that_are_stopped_above(
    night: Night, crash: Callable[[int, bool], None]
) -> None:
    night.stage("r1", {"A": [1, -2]})
    crash(COMMITS + 1, False)
    night.publish("r1")


def test_verdicts_come_back(night: Night) -> None:
    at = datetime(2026, 3, 9, 2, tzinfo=UTC)
    verdicts = [Verdict("A", DAY, None, 3, "d1", at, 5), Verdict("B", NEXT, "why")]
    folder = night.lake / "till/_staging/r1"
    write_verdicts(folder, verdicts)
    assert read_verdicts(folder) == verdicts


def test_verdicts_of_an_older_version_come_back(night: Night) -> None:
    folder = night.lake / "till/_staging/r1"
    text = f'[{{"site": "A", "day": "{DAY}", "held": null, "declared": 3, "delivery": "d1"}}]'
    (folder / VERDICTS).write_bytes(text.encode())
    assert read_verdicts(folder) == [Verdict("A", DAY, None, 3, "d1")]


def test_staged_comes_back(night: Night) -> None:
    file = DataFile("p", 1, 2, {"business_date": None}, "{}", (("A", f"{DAY}"),))
    staged = Staged({"records": [file]}, {("A", DAY): {"read": 2**64 - 1}}, {("A", DAY): {"x": 1}})
    write_staged(night.lake / "s", staged)
    assert read_staged(night.lake / "s") == staged


def test_run_is_written_and_rewritten_as_it_ends(tmp_path: Path) -> None:
    lake = Place.of(tmp_path)
    run = new_run("till", "nightly", "batch", "FnApiRunner", {"date": DAY, "sites": ["A"]})
    other = new_run("till", "nightly", "batch", "FnApiRunner", {})
    for one in (run, other, run.ended_as("published", {"till/records": 4})):
        record_run(lake, one)
    found = scan(lake, tables.RUNS).collect()
    assert found.height == 2
    row = found.filter(pl.col("run") == run.run).to_dicts()[0]
    assert (row["outcome"], row["versions_out"]) == ("published", '{"till/records": 4}')
    assert row["started"] <= row["ended"]
    assert row["parameters"] == '{"date": "2026-03-08", "sites": ["A"]}'
    assert found.filter(pl.col("run") == other.run)["outcome"].item() == "running"


def test_ids_of_runs_sort_by_time_and_hashes_tell_parameters_apart() -> None:
    first = new_run("till", "nightly", "batch", "x", {"a": 1, "b": 2})
    second = new_run("till", "nightly", "batch", "x", {"b": 2, "a": 1})
    assert first.run != second.run
    assert first.run[:15] == f"{first.started:%Y%m%dT%H%M%S}"
    assert first.parameters_hash == second.parameters_hash
    assert first.parameters_hash != new_run("till", "n", "b", "x", {"a": 2}).parameters_hash
    assert isinstance(first, Run)
    assert first.started.tzinfo == UTC
    assert datetime.now(UTC) >= first.started
