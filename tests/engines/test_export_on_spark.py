"""Spark exports the rows that this process exports, with the same manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from odd_night import ROWS, exported, manifest, odd_night, read, settled
from sales_nights import SPARK
from small_night import DAY, FEED, SmallNight, declare, rows

from isopach.jobs.exporting import Format
from isopach.jobs.plain_files import InProcess
from isopach.jobs.settled import NotAsSettledError

pytestmark = SPARK


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    return odd_night(tmp_path_factory.mktemp("night"))


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_both_engines_give_the_same_rows(
    spark: Any, night: SmallNight, tmp_path: Path, form: Format
) -> None:
    from isopach.jobs.spark.export import OnSpark

    there = exported(night, tmp_path / "there", form, OnSpark(spark))
    here = exported(night, tmp_path / "here", form, InProcess())
    assert (there.rows, there.checksum) == (here.rows, here.checksum)
    assert there.rows == 2 * ROWS
    assert read(night, tmp_path / "there").equals(settled(night))
    assert read(night, tmp_path / "here").equals(settled(night))
    same = {"feed", "rows", "checksum", "version", "windows", "columns", "left_out", "table"}
    ours, theirs = manifest(tmp_path / "here"), manifest(tmp_path / "there")
    assert {n: ours[n] for n in same} == {n: theirs[n] for n in same}
    names = {path.name for path in (tmp_path / f"there/business_date={DAY}").iterdir()}
    assert names == {"_manifest.json", *(file["name"] for file in theirs["files"])}


def test_rows_that_were_not_settled_are_refused(spark: Any, tmp_path: Path) -> None:
    from isopach.jobs.spark.export import OnSpark

    night = odd_night(tmp_path)
    table = f"{night.lake.path}/visits/records"
    spark.sql(f"UPDATE delta.`{table}` SET fee = 7 WHERE id = 'nyc-3'")
    with pytest.raises(NotAsSettledError, match=f"nyc on {DAY} has 240 rows of checksum"):
        exported(night, tmp_path / "plain", "csv", OnSpark(spark))
    assert not (tmp_path / f"plain/business_date={DAY}").exists()


def test_columns_that_the_table_lacks_are_null_and_dates_of_no_rows_have_a_header(
    spark: Any, tmp_path: Path
) -> None:
    from isopach.jobs.spark.export import OnSpark

    night = SmallNight(tmp_path, declare(tmp_path, FEED))
    night.deliver("nyc", rows("nyc", 2))
    night.run(only=frozenset({"nyc"}))
    wider = night.declared(columns={**FEED["columns"], "weight": "float64"})
    exported(wider, tmp_path / "plain", "parquet", OnSpark(spark))
    assert read(wider, tmp_path / "plain")["weight"].to_list() == [None, None]
    night.deliver("nyc", [], name="d2", at="2026-03-09T03:00:00Z")
    night.run(only=frozenset({"nyc"}))
    assert exported(night, tmp_path / "none", "csv", OnSpark(spark)).rows == 0
    assert read(night, tmp_path / "none").height == 0
