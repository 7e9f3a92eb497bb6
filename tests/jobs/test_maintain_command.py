"""`isopach maintain`: what it prints, and how it ends."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from commands import Result, isopach, refused
from small_night import DAY
from small_stream import SmallStream, line


@pytest.fixture
def stream(tmp_path: Path) -> SmallStream:
    """A lake with six small files of records, and an orphan of twenty days."""
    stream = SmallStream.at(tmp_path)
    lines = [line("nyc", f"x{n}", f"{DAY}T16:00") for n in range(6)]
    lander = stream.lander()
    lander.learn()
    for n in range(6):
        lander.land([stream.interval("spool:visits/0", lines, n, n + 1)])
    lander.flush()
    orphan = folder(stream) / f"business_date={DAY}/lost.parquet"
    orphan.write_bytes(b"x" * 3000)
    os.utime(orphan, (orphan.stat().st_mtime - 20 * 86400,) * 2)
    return stream


def folder(stream: SmallStream) -> Path:
    return Path(stream.lake.path) / "visits/records"


def maintain(stream: SmallStream, *more: str) -> Result:
    return isopach("maintain", stream.folder / "visits.yaml", "--lake", stream.lake.uri, *more)


def test_tables_are_maintained(stream: SmallStream) -> None:
    result = maintain(stream, "--json")
    assert (result.code, result.err) == (0, "")
    document = result.document
    assert document.keys() == {"feed", "engine", "retention_hours", "dry_run", "tables"}
    assert (document["engine"], document["retention_hours"]) == ("delta-rs", 168)
    found = {one["table"]: one for one in document["tables"]}
    assert found.keys() == {
        "visits/records", "visits/totals_all", "visits/totals_by_minutes", "ledger/windows",
        "ledger/counts",
    }  # fmt: skip
    records = found["visits/records"]
    assert records.keys() == {
        "table", "version_before", "version_after", "files_before", "files_after", "deleted",
        "freed", "findings",
    }  # fmt: skip
    assert (records["files_before"], records["files_after"]) == (6, 1)
    assert (records["deleted"], records["freed"], records["findings"]) == (1, 3000, [])
    assert records["version_after"] == records["version_before"] + 1
    assert list((folder(stream) / "_delta_log").glob("*.checkpoint.parquet"))
    assert stream.findings() == []


def test_a_dry_run_says_what_it_would_do(stream: SmallStream) -> None:
    before = sorted(Path(stream.lake.path).rglob("*"))
    result = maintain(stream, "--dry-run")
    assert result.code == 0
    assert re.search(r"visits/records +6 +1 +1 +2\.9 KB +6", result.out)
    assert "would have 5 files fewer; 1 files would be deleted, 2.9 KB; checked" in result.out
    assert sorted(Path(stream.lake.path).rglob("*")) == before


def test_what_the_check_finds_ends_with_1(stream: SmallStream) -> None:
    maintain(stream)
    (file,) = folder(stream).glob("business_date=*/part-*.parquet")
    file.unlink()
    result = maintain(stream)
    assert result.code == 1
    assert f"files: visits/records/business_date={DAY}/{file.name}: is not there" in result.out
    assert "not sound" in result.out


def test_progress_is_shown_on_a_terminal(stream: SmallStream) -> None:
    from io import StringIO

    from rich.console import Console

    from isopach.jobs.maintaining import DeltaRs, Options
    from isopach.jobs.maintaining import maintain as carry_out
    from isopach.jobs.progress import Progress

    screen = StringIO()
    shown = Progress(Console(file=screen, force_terminal=True, width=120))
    carry_out(stream.declaration, stream.lake, Options(), shown, DeltaRs())
    assert "1/5 visits/records" in screen.getvalue()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--retention", "soon"], "--retention: 'soon' is not a duration; write 1s, 500ms"),
        (["--retention", "59m"], "--retention: '59m' is too short: "),
        (["--engine", "fast"], "'fast' is not one of 'delta-rs', 'spark'"),
    ],
)
def test_what_is_asked_wrongly_ends_with_2(
    stream: SmallStream, options: list[str], said: str
) -> None:
    assert said in refused(maintain(stream, *options), 2)


def test_a_lake_without_the_feed_ends_with_1(stream: SmallStream) -> None:
    nowhere = stream.folder / "nowhere"
    result = isopach("maintain", stream.folder / "visits.yaml", "--lake", nowhere)
    assert "nowhere: has no table of visits" in refused(result, 1)
    assert not nowhere.exists()


def test_a_missing_spark_is_named(stream: SmallStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "delta", None)
    monkeypatch.delitem(sys.modules, "isopach.jobs.spark.maintain", raising=False)
    said = refused(maintain(stream, "--engine", "spark"), 2)
    assert said == "--engine spark needs Spark: pip install 'isopach[spark]'"
