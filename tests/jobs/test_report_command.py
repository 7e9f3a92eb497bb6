"""The command `isopach report`."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import Result, isopach, refused
from told_lake import DAY, ToldLake, run_id, told_lake

from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.replace import upsert


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> ToldLake:
    return told_lake(tmp_path_factory.mktemp("told"), first=28)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def report(told: ToldLake, *more: str | Path) -> Result:
    return isopach("report", "--lake", told.lake.uri, *more)


def test_the_newest_night_is_reported(told: ToldLake, tmp_path: Path) -> None:
    done = report(told)
    assert done.code == 0
    name = f"visits-{DAY}-{told.newest}.html"
    assert done.out.splitlines()[0] == name
    assert done.out.splitlines()[1].startswith("Published, some held: 3 of 6 sites settled")
    page = (tmp_path / name).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert told.newest in page


def test_a_run_is_reported_into_a_file_in_a_new_folder(told: ToldLake, tmp_path: Path) -> None:
    run, file = run_id(DAY.replace(day=6)), tmp_path / "new/night.html"
    done = report(told, "--run", run, "--to", file)
    assert done.code == 0
    assert run in file.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [file.parent]


def test_the_feed_may_be_named(told: ToldLake) -> None:
    feed = told.declaration.path
    with_names = isopach("report", feed, "--lake", told.lake.uri, "--markdown").out
    assert "| boston | Boston | held |" in with_names
    assert "| boston |  | held |" in report(told, "--markdown").out


def test_json(told: ToldLake, tmp_path: Path) -> None:
    document = report(told, "--json").document
    assert (document["feed"], document["date"]) == ("visits", f"{DAY}")
    assert (document["verdict"], document["figures"]["held"]) == ("held", 2)
    assert (tmp_path / document["file"]).exists()
    assert [gate["severity"] for gate in document["failed_gates"]] == ["critical", "warning"]
    states = {site["site"]: site["state"] for site in document["sites"]}
    assert states == {"boston": "held", "nyc": "warned", "pokhara": "missing", "rome": "held"}


def test_markdown_goes_to_stdout_or_into_a_file(told: ToldLake, tmp_path: Path) -> None:
    said = report(told, "--markdown")
    assert said.out.startswith("## ⚠️ visits")
    assert list(tmp_path.iterdir()) == []
    assert report(told, "--markdown", "--to", "night.md").out.startswith("night.md\n")
    assert (tmp_path / "night.md").read_text(encoding="utf-8") == said.out
    document = report(told, "--markdown", "--json").document
    assert (document["markdown"], document["file"]) == (said.out, None)


def test_trends(told: ToldLake, tmp_path: Path) -> None:
    done = report(told, "--days", "5")
    assert done.out.startswith("visits-5d.html\nSome held: 5 nights: ")
    assert "4 March 2026 to 8 March 2026" in (tmp_path / "visits-5d.html").read_text()
    document = report(told, "--days", "5", "--json").document
    assert (document["first"], len(document["nights"])) == ("2026-03-04", 5)
    assert report(told, "--days", "5", "--markdown").out.startswith("## ⚠️ visits 2026-03-04 to")


# What cannot be reported


def test_a_run_that_is_not_there(told: ToldLake) -> None:
    said = refused(report(told, "--run", "nope"), 1)
    assert "run 'nope' is not in the ledger; the newest nights: " in said
    assert f"{told.newest} (visits {DAY})" in said
    assert said.count("(visits") == 5


def test_a_run_of_another_feed(told: ToldLake) -> None:
    done = isopach("report", "sales", "--lake", told.lake.uri, "--run", told.newest)
    assert "is one of visits, not of sales; the newest nights of sales: none" in refused(done, 1)
    done = isopach("report", "sales", "--lake", told.lake.uri)
    assert "no night of sales was run in this lake yet" in refused(done, 1)
    done = isopach("report", "sales", "--lake", told.lake.uri, "--days", "3")
    assert "no night of sales was run in this lake yet" in refused(done, 1)


def test_a_run_of_a_stream_and_a_lake_of_two_feeds(tmp_path: Path) -> None:
    told = told_lake(tmp_path / "two", first=33)
    runs = scan(told.lake, tables.RUNS).collect()
    other = runs.head(1).to_dicts()[0]
    changed = [
        {**other, "run": "z-stream", "cadence": "micro-batch"},
        {**other, "run": "z-sales", "feed": "sales"},
    ]
    upsert(told.lake, tables.RUNS, runs.clear().vstack(_frame(changed, runs.schema)), ["run"])
    said = refused(report(told, "--run", "z-stream"), 1)
    assert "is a run of micro-batch: a report is of a business date" in said
    assert "has nights of sales, visits; name the feed" in refused(report(told), 1)
    assert report(told, "--run", told.newest).code == 0


def _frame(rows: list[dict[str, Any]], schema: Any) -> Any:
    import polars as pl

    return pl.DataFrame(rows, schema=schema)


def test_an_empty_lake(tmp_path: Path) -> None:
    for more in ((), ("--days", "3"), ("--run", "x")):
        said = refused(isopach("report", "--lake", tmp_path / "none", *more), 1)
        assert "nothing was run in this lake; is --lake right?" in said


def test_a_run_and_days_together(told: ToldLake) -> None:
    said = refused(report(told, "--run", told.newest, "--days", "3"), 2)
    assert said == "--days: '3' cannot be given together with --run"


def test_a_file_that_cannot_be_written(told: ToldLake, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    said = refused(report(told, "--to", "folder"), 1)
    assert said == "folder: cannot be written: Is a directory; choose another with --to"


@pytest.mark.parametrize("package", ["altair", "jinja2", "vl_convert"])
def test_a_missing_extra(told: ToldLake, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=package)
        return importing(name, *rest)

    for module in [m for m in sys.modules if m.startswith("isopach.jobs.report_")]:
        if module.endswith(("_page", "_charts")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", without)
    said = refused(report(told), 1)
    wanted = "which is not installed: pip install 'isopach[report]'"
    assert said == f"the page needs {package}, {wanted}"
    assert report(told, "--markdown").code == 0
