"""Tampering with a lake is found by `isopach verify`, or by evidence alone, and is named."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from settled_lake import SettledLake, settled_lake
from small_night import DAY

Tamper = Callable[[SettledLake, str], object]
ON_DAY = f"business_date = '{DAY}'"
RECORDS, ASIDE, BY_MINUTES = "visits/records", "visits/quarantine", "visits/totals_by_minutes"
WINDOWS, COUNTS, RUNS = "ledger/windows", "ledger/counts", "ledger/runs"
DIFFERENCES = "ledger/differences"
SEED = 20260308
DRAWS = 8


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> SettledLake:
    lake = settled_lake(tmp_path_factory.mktemp("good"))
    lake.evidence()
    return lake


@pytest.fixture
def lake(good: SettledLake, tmp_path: Path) -> SettledLake:
    return good.copy(tmp_path)


def findings(lake: SettledLake) -> list[Any]:
    """Return what verification of the day finds, which is what verification of all days finds."""
    found = [lake.command("verify", *day, "--json") for day in ([], ["--date", f"{DAY}"])]
    every, on_day = (one.document["findings"] for one in found)
    assert [one.code for one in found] == [1 if every else 0, 1 if on_day else 0]
    assert {f["message"] for f in on_day} <= {f["message"] for f in every}
    return list(on_day)


def names(finding: Any, table: str, site: str | None) -> bool:
    """Tell whether a finding names a table and a site."""
    said = f"{finding['check']} {finding['message']}"
    return table.removeprefix("visits/") in said and finding["site"] in (site, None)


def of(site: str) -> str:
    return f"site = '{site}' and {ON_DAY}"


@dataclass(frozen=True)
class Kind:
    """A kind of tampering: with which table, at which sites it can be, and who finds it."""

    table: str
    tamper: Tamper
    sites: tuple[str, ...] = ("nyc", "kathmandu", "pago")
    by_evidence_alone: bool = False


def updated(table: str, where: str = "true", **values: Any) -> Tamper:
    return lambda lake, site: lake.update(table, f"{of(site)} and {where}", **values)


def deleted(table: str, where: str = "true") -> Tamper:
    return lambda lake, site: lake.delete(table, f"{of(site)} and {where}")


def overwritten(column: str, value: object) -> Tamper:
    """Write a file of records again with another value in a site's first row of the day."""

    def tamper(lake: SettledLake, site: str) -> None:
        mine = (pl.col("site") == site) & (pl.col("id") == f"{site}-1")
        for file in lake.files(RECORDS, DAY):
            if pl.read_parquet(file, columns=["site", "id"]).filter(mine).height:
                literal = pl.lit(value, pl.read_parquet_schema(file)[column])
                changed = pl.when(mine).then(literal).otherwise(column)
                lake.overwrite(file, changed.alias(column))
                return
        raise AssertionError(f"no such row of {site}")

    return tamper


def settling_run(lake: SettledLake) -> str:
    rows = lake.rows(WINDOWS, pl.col("business_date") == DAY)
    return str(rows["settled_by"].drop_nulls().max())


def file_of_run(lake: SettledLake) -> Path:
    """Return the file that tells of the run which settled the day."""
    run = settling_run(lake)
    return next(f for f in lake.files(RUNS, None) if run in pl.read_parquet(f)["run"])


def run_updated(**values: Any) -> Tamper:
    return lambda lake, _: lake.update(RUNS, f"run = '{settling_run(lake)}'", **values)


BOTH, NYC = ("nyc", "kathmandu"), ("nyc",)
KINDS = {
    "a value of a record in its file": Kind(RECORDS, overwritten("minutes", 77)),
    "a text of a record in its file": Kind(RECORDS, overwritten("note", "x")),
    "a key of a record in its file": Kind(RECORDS, overwritten("id", "zz")),
    "a record is deleted": Kind(
        RECORDS, lambda lake, site: lake.delete(RECORDS, f"{of(site)} and id = '{site}-1'")
    ),
    "all records are deleted": Kind(RECORDS, deleted(RECORDS)),
    "a record changes": Kind(
        RECORDS, lambda lake, s: lake.update(RECORDS, f"{of(s)} and id = '{s}-1'", fee="9.99")
    ),
    "who wrote a record": Kind(RECORDS, updated(RECORDS, _run="x"), BOTH, True),
    "a row set aside by a night is deleted": Kind(
        ASIDE, deleted(ASIDE, "disposition = 'rejected'"), NYC
    ),
    "a row set aside by a stream is deleted": Kind(ASIDE, deleted(ASIDE, "_mode = 'stream'"), NYC),
    "a row set aside is called late": Kind(ASIDE, updated(ASIDE, disposition="late"), NYC),
    "a row set aside reads otherwise": Kind(ASIDE, updated(ASIDE, raw="{}"), NYC, True),
    "the reason of a row set aside": Kind(ASIDE, updated(ASIDE, reason="x"), NYC, True),
    "a total is deleted": Kind(BY_MINUTES, deleted(BY_MINUTES)),
    "a total changes": Kind(BY_MINUTES, updated(BY_MINUTES, visits=99)),
    "rows read": Kind(COUNTS, updated(COUNTS, read=99)),
    "rows accepted": Kind(COUNTS, updated(COUNTS, accepted=99)),
    "rows read and accepted": Kind(
        COUNTS, updated(COUNTS, "mode = 'batch'", read=99, accepted=99), BOTH
    ),
    "rows rejected": Kind(COUNTS, updated(COUNTS, rejected=99)),
    "rows late": Kind(COUNTS, updated(COUNTS, late=99)),
    "duplicate rows": Kind(COUNTS, updated(COUNTS, duplicate=99)),
    "rows declared": Kind(COUNTS, updated(COUNTS, "mode = 'batch'", declared=99), BOTH),
    "the checksum of a count": Kind(COUNTS, updated(COUNTS, checksum="0" * 32)),
    "a manifest's hash": Kind(
        COUNTS, updated(COUNTS, "mode = 'batch'", manifest="0" * 64), BOTH, True
    ),
    "counts of a night are deleted": Kind(COUNTS, deleted(COUNTS, "mode = 'batch'"), BOTH),
    "counts of a stream are deleted": Kind(
        COUNTS, deleted(COUNTS, "mode = 'stream'"), ("nyc", "pago")
    ),
    "rows of a window": Kind(WINDOWS, updated(WINDOWS, rows=99)),
    "the checksum of a window": Kind(WINDOWS, updated(WINDOWS, checksum="0" * 32)),
    "the state of a window": Kind(WINDOWS, updated(WINDOWS, state="held"), BOTH),
    "a window is called settled": Kind(WINDOWS, updated(WINDOWS, state="settled"), ("pago",)),
    "who settled a window": Kind(WINDOWS, updated(WINDOWS, settled_by="x"), BOTH),
    "the version of a window": Kind(WINDOWS, updated(WINDOWS, version=1), BOTH, True),
    "a window is deleted": Kind(WINDOWS, deleted(WINDOWS)),
    "a difference is deleted": Kind(
        DIFFERENCES, deleted(DIFFERENCES, "kind = 'extra'"), NYC, True
    ),
    "a difference is moved to another window": Kind(
        DIFFERENCES, updated(DIFFERENCES, site="elsewhere"), NYC
    ),
    "the cause of a difference": Kind(DIFFERENCES, updated(DIFFERENCES, cause="late"), NYC, True),
    "what a run was given": Kind(RUNS, run_updated(parameters="{}")),
    "the mode of a run": Kind(RUNS, run_updated(mode="stream")),
    "the code of a run": Kind(RUNS, run_updated(code_version="9.9"), NYC, True),
    "how a run ended": Kind(RUNS, run_updated(outcome="failed"), NYC, True),
    "a run is deleted": Kind(
        RUNS, lambda lake, _: lake.delete(RUNS, f"run = '{settling_run(lake)}'"), BOTH
    ),
}  # fmt: skip


def test_a_good_lake_is_proved(lake: SettledLake) -> None:
    assert findings(lake) == []
    assert lake.broken(lake.night.folder / "evidence.json") is None


def check_found(lake: SettledLake, name: str, site: str) -> None:
    """Check that tampering is found by those who can, with its table and window."""
    kind = KINDS[name]
    kind.tamper(lake, site)
    found = findings(lake)
    if kind.by_evidence_alone:
        assert found == []
    else:
        where = "elsewhere" if "to another window" in name else site
        assert any(names(one, kind.table, where) for one in found), found
    broken = lake.broken(lake.night.folder / "evidence.json")
    if site != "pago":  # which is not settled, and not vouched for
        assert broken is not None
        assert kind.by_evidence_alone <= names(broken, kind.table, site), broken


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_tampering_is_found(lake: SettledLake, name: str) -> None:
    check_found(lake, name, KINDS[name].sites[0])


@pytest.mark.slow
def test_any_tampering_at_any_site_is_found(good: SettledLake, tmp_path: Path) -> None:
    draw = random.Random(SEED)
    for number in range(DRAWS):
        name = draw.choice([*KINDS])
        check_found(good.copy(tmp_path / f"{number}"), name, draw.choice(KINDS[name].sites))


FILES = [RECORDS, ASIDE, BY_MINUTES, WINDOWS, COUNTS, DIFFERENCES, RUNS]


@pytest.mark.parametrize("table", FILES)
@pytest.mark.parametrize("damage", ["deleted", "cut off", "emptied", "zeroed"])
def test_damaged_files_are_named(lake: SettledLake, table: str, damage: str) -> None:
    file = lake.files(table, DAY)[0] if table != RUNS else file_of_run(lake)
    size = file.stat().st_size
    content = file.read_bytes()
    broken = {"cut off": content[: size // 2], "emptied": b"", "zeroed": bytes(size)}
    file.unlink() if damage == "deleted" else file.write_bytes(broken[damage])
    for day in ([], ["--date", f"{DAY}"]):
        shown = lake.command("verify", *day)
        assert shown.code == 1
        name = str(file.relative_to(lake.night.folder / "lake"))
        first, last = shown.out.strip().split("\n")
        assert first.startswith("files: ")
        assert name in first
        assert last.startswith("not verified: the rest cannot be checked without these files")
    assert lake.broken(lake.night.folder / "evidence.json")["message"].startswith(name)


def test_a_damaged_file_of_another_date_is_named_with_it(lake: SettledLake) -> None:
    from settled_lake import BEFORE

    lake.files(RECORDS, BEFORE)[0].unlink()
    assert lake.command("verify", "--date", f"{DAY}").code == 0
    (one,) = lake.command("verify", "--json").document["findings"]
    assert one["check"] == "files"
    assert f"business_date={BEFORE}" in one["message"]


def test_a_file_of_the_same_size_with_other_values_is_found(lake: SettledLake) -> None:
    mine = f"{of('nyc')} and id = 'nyc-1'"
    lake.update(RECORDS, mine, note="before")
    evidence = lake.night.folder / "evidence.json"
    checksum = next(one["message"] for one in findings(lake)).split()[2].rstrip(",")
    lake.update(WINDOWS, of("nyc"), checksum=checksum)
    lake.update(COUNTS, f"{of('nyc')} and mode = 'batch'", checksum=checksum)
    assert findings(lake) == []
    lake.evidence()
    file = next(f for f in lake.files(RECORDS, DAY) if "before" in notes(f))
    file.write_bytes(file.read_bytes().replace(b"before", b"behind"))
    assert "behind" in notes(file)
    (found,) = findings(lake)
    assert names(found, RECORDS, "nyc")
    broken = lake.broken(evidence)
    assert broken["message"].startswith(f"{RECORDS}/business_date={DAY}/{file.name}: ")
    assert "was changed: its bytes give SHA-256 " in broken["message"]


def notes(file: Path) -> list[str | None]:
    return pl.read_parquet(file, columns=["note"])["note"].to_list()
