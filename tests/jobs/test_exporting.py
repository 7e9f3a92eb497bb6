"""Exports: the rows that were settled, whole dates, and what the manifest says of them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from commands import isopach, refused
from odd_night import ROWS, exported, manifest, odd_night, read, settled
from small_night import DAY, FEED, SmallNight, declare, row, rows

from isopach.jobs import plain_files
from isopach.jobs.exporting import Format
from isopach.jobs.plain_files import InProcess
from isopach.jobs.settled import NotAsSettledError
from isopach.jobs.settled_sums import Sum, sum_of_text, sums_together


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    return odd_night(tmp_path_factory.mktemp("night"))


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_the_rows_are_those_that_were_settled(
    night: SmallNight, tmp_path: Path, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_files, "BATCH", 7)
    monkeypatch.setattr(plain_files, "ROW_GROUP", 100)
    done = exported(night, tmp_path, form, InProcess())
    expected = settled(night)
    assert expected.height == done.rows == 2 * ROWS
    assert expected["note"].n_unique() == 17
    assert read(night, tmp_path).equals(expected)
    assert done.left_out == {"pago": "held"}


def test_the_manifest_says_what_was_settled(night: SmallNight, tmp_path: Path) -> None:
    exported(night, tmp_path, "parquet", InProcess())
    said, windows = manifest(tmp_path), night.table("windows").filter(state="settled")
    assert said["windows"] == (
        windows.sort("site").select("site", "rows", "checksum", run="settled_by").to_dicts()
    )
    parts = [sum_of_text(*one) for one in windows.select("rows", "checksum").rows()]
    assert sum_of_text(said["rows"], said["checksum"]) == sums_together(parts)
    assert said["columns"]["tiny"] == "decimal(20,10)"
    assert (said["feed"], said["table"], said["format"]) == ("visits", "visits/records", "parquet")
    assert said["version"] == windows["version"].max()
    (file,) = said["files"]
    found = pl.read_parquet(tmp_path / "**/*.parquet", hive_partitioning=True)
    assert found["business_date"].unique().to_list() == [DAY]
    assert sorted(p.name for p in (tmp_path / f"business_date={DAY}").iterdir()) == sorted(
        ["_manifest.json", file["name"]]
    )


def test_a_date_is_replaced_whole(tmp_path: Path) -> None:
    night = SmallNight(tmp_path, declare(tmp_path, FEED))
    night.deliver("nyc", rows("nyc", 3))
    night.deliver("nyc", [row("nyc", "x", at=f"{DAY - timedelta(1)}T16:00:00Z")],
                  day=DAY - timedelta(1))  # fmt: skip
    for day in (DAY, DAY - timedelta(1)):
        night.run(day, only=frozenset({"nyc"}))
    to = tmp_path / "plain"
    command = ["export", tmp_path / "visits.yaml", "--lake", night.lake.uri, "--to", to, "--json"]
    first = isopach(*command)
    assert [(one["business_date"], one["rows"]) for one in first.document["dates"]] == [
        (f"{DAY - timedelta(1)}", 1),
        (f"{DAY}", 3),
    ]
    other = (to / f"business_date={DAY - timedelta(1)}/_manifest.json").read_bytes()
    night.deliver("nyc", rows("nyc", 5), name="d2", at="2026-03-09T03:00:00Z")
    night.run(only=frozenset({"nyc"}))
    (to / f"_exporting/business_date={DAY}/killed").mkdir(parents=True)
    second = isopach(*command, "--date", f"{DAY}", "--format", "csv")
    assert second.document["version"] > first.document["version"]
    assert manifest(to)["rows"] == 5
    names = {path.name for path in (to / f"business_date={DAY}").iterdir()}
    assert names == {"_manifest.json", manifest(to)["files"][0]["name"]}
    assert list((to / "_exporting").iterdir()) == []
    assert (to / f"business_date={DAY - timedelta(1)}/_manifest.json").read_bytes() == other


def test_an_export_that_fails_leaves_the_one_before(
    night: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(night, tmp_path, "parquet", InProcess())
    before = manifest(tmp_path)
    whole = plain_files.settled_rows
    monkeypatch.setattr(plain_files, "settled_rows", lambda c: (r.head(239) for r in whole(c)))
    with pytest.raises(NotAsSettledError, match=f"kathmandu on {DAY} has 239 rows of .* settled"):
        exported(night, tmp_path, "parquet", InProcess())
    assert manifest(tmp_path) == before
    assert read(night, tmp_path).equals(settled(night))
    assert list((tmp_path / "_exporting").iterdir()) == []


def test_windows_that_change_meanwhile_are_looked_at_again(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isopach.jobs import settled as module

    scan, looks = module.scan, iter(range(100))
    monkeypatch.setattr(
        module,
        "scan",
        lambda *a: scan(*a).with_columns(version=pl.lit(next(looks)).cast(pl.Int64)),
    )
    with pytest.raises(NotAsSettledError, match="visits is being settled; run again later"):
        module.settled_days(night.lake, night.declaration.feed, [DAY])
    assert next(looks) == 10


def test_a_column_that_older_files_lack_is_null(tmp_path: Path) -> None:
    night = SmallNight(tmp_path, declare(tmp_path, FEED))
    night.deliver("nyc", rows("nyc", 2))
    night.run(only=frozenset({"nyc"}))
    wider = night.declared(columns={**FEED["columns"], "weight": "float64"})
    exported(wider, tmp_path / "a", "parquet", InProcess())
    assert read(wider, tmp_path / "a")["weight"].to_list() == [None, None]
    wider.deliver("kathmandu", [row("kathmandu", "k", weight=1.5)])
    wider.run(only=frozenset({"kathmandu"}))
    exported(wider, tmp_path / "b", "parquet", InProcess())
    assert read(wider, tmp_path / "b")["weight"].to_list() == [1.5, None, None]


def test_the_command(night: SmallNight, tmp_path: Path) -> None:
    command = ["export", night.folder / "visits.yaml", "--lake", night.lake.uri]
    shown = isopach(*command, "--to", tmp_path, "--date", f"{DAY}")
    assert shown.code == 3
    assert f"{DAY}: left out, not settled: pago (held)" in shown.out
    assert "480 rows of 1 dates, as of version" in shown.out
    said = isopach(*command, "--to", tmp_path, "--json")
    assert (said.code, said.document["dates"][0]["rows"]) == (3, 480)
    assert json.dumps(said.document["dates"][0]["left_out"]) == '{"pago": "held"}'


def test_a_date_without_settled_windows_ends_with_1(night: SmallNight, tmp_path: Path) -> None:
    command = ["export", night.folder / "visits.yaml", "--to", tmp_path / "plain"]
    said = refused(isopach(*command, "--lake", night.lake.uri, "--date", "2020-01-01"), 1)
    assert said == f"{night.lake.uri}: no window of visits is settled on 2020-01-01"
    assert "no window of visits is settled" in refused(isopach(*command, "--lake", tmp_path), 1)
    assert not (tmp_path / "plain").exists()


def test_what_is_asked_wrongly_ends_with_2(night: SmallNight, tmp_path: Path) -> None:
    command = ["export", night.folder / "visits.yaml", "--lake", tmp_path, "--to", tmp_path]
    assert "'xml' is not one of" in refused(isopach(*command, "--format", "xml"), 2)
    assert "--date: 'soon' is not a date" in refused(isopach(*command, "--date", "soon"), 2)


def test_sums_do_not_depend_on_batches() -> None:
    assert sums_together([Sum(1, 2**64 - 1, 5), Sum(2, 3, 6)]) == Sum(3, 2, 11)


def test_a_date_of_no_rows_has_a_file_of_none(tmp_path: Path) -> None:
    night = SmallNight(tmp_path, declare(tmp_path, FEED))
    night.deliver("nyc", [])
    night.run(only=frozenset({"nyc"}))
    assert exported(night, tmp_path / "plain", "csv", InProcess()).rows == 0
    assert read(night, tmp_path / "plain").height == 0
