from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from commands import Result, isopach, refused
from small_night import DAY, FEED, SmallNight, assert_same, content, declare, row, rows
from typer.testing import CliRunner

from isopach.feeds.load import load_declaration
from isopach.feeds.sales import write_night
from isopach.jobs.cli import app
from isopach.lake.places import Place

COMMANDS = [
    "check",
    "nightly",
    "stream",
    "counts",
    "status",
    "quarantine",
    "reconcile",
    "publish",
    "repair",
    "replay",
    "report",
    "suite",
    "evidence",
    "maintain",
    "verify",
    "demo",
]
HEAVY = ["apache_beam", "polars", "great_expectations", "pyarrow", "deltalake", "numpy"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A night that was run: two sites settled, one held, rows of three reasons set aside."""
    folder = tmp_path_factory.mktemp("ran")
    night = SmallNight(folder, declare(folder))
    secret = [row("nyc", "x", minutes="y", note="secret"), row("nyc", "nyc-1", note='"secret"')]
    late = row("nyc", "late", at="2026-03-01T12:00:00Z", note=None)
    night.deliver("nyc", [*rows("nyc", 4), *secret, late])
    night.deliver("kathmandu", rows("kathmandu", 3))
    night.deliver(
        "pago", b'{"note":"secret", oops\n' + b'{"id":"z","note":{"a":"secret"}}\n', rows=9
    )
    night.run(only=frozenset({"nyc", "kathmandu", "pago"}))
    return night


def feed(night: SmallNight) -> str:
    return str(night.folder / "visits.yaml")


def lake(night: SmallNight) -> list[str]:
    return ["--lake", night.lake.path]


# Help


def loaded(*arguments: str) -> set[str]:
    """Return the heavy modules that a command imports."""
    code = f"""
import sys
from isopach.jobs.cli import main
sys.argv = ["isopach", *{list(arguments)!r}]
try:
    main()
finally:
    print(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: isopach" in found.stdout
    return set(found.stderr.split())


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_nothing_heavy(command: str) -> None:
    assert loaded(*[command] if command else [], "--help") == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example(command: str) -> None:
    usage, *rest = isopach(command, "--help").out.strip().splitlines()
    assert usage.strip().startswith(f"Usage: isopach {command}")
    assert any(line.strip().startswith(f"isopach {command} ") for line in rest)
    assert any("--json" in line for line in rest)


def test_help_says_what_exit_codes_mean() -> None:
    text = isopach("--help").out
    assert "0 done, 1 failed, 2 bad usage or declaration, 3 done but" in text
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", text)


def test_without_a_command_help_is_shown() -> None:
    assert isopach().code == 2


# What commands print


def test_check(ran: SmallNight) -> None:
    result = isopach("check", feed(ran))
    assert result.code == 0
    assert "one row per id, by clinic and business date" in result.out
    document = isopach("check", feed(ran), "--json").document
    assert document.keys() == {
        "feed", "file", "columns", "key", "rules", "expectations", "totals", "sites", "time_zones"
    }  # fmt: skip
    assert (document["feed"], document["sites"], document["key"]) == ("visits", 4, ["id"])
    assert document["rules"][0] == {"reason": "missing", "column": "id"}
    assert document["totals"] == {"by_minutes": ["visits", "fee"], "all": ["visits", "longest"]}


@pytest.mark.parametrize("name", ["sales", "flights"])
def test_check_of_the_feeds_that_come_along(name: str) -> None:
    assert isopach("check", name, "--json").document["feed"] == name


def test_nightly(tmp_path: Path) -> None:
    night = SmallNight(tmp_path, declare(tmp_path))
    for site in ("nyc", "pago"):
        night.deliver(site, rows(site, 3), rows=3 if site == "nyc" else 4)
    place = ["--landing", night.landing.path, *lake(night), "--date", f"{DAY}"]
    sites = ["--site", "nyc", "--site", "pago"]
    result = isopach("nightly", feed(night), *place, *sites, "--json")
    document = result.document
    assert result.code == 3
    assert {
        "run", "feed", "date", "outcome", "sites", "settled", "read", "accepted", "rejected",
        "late", "duplicate", "held", "awaited", "waves", "seconds", "phases", "version",
        "rows_per_second",
    } <= document.keys()  # fmt: skip
    assert (document["feed"], document["date"]) == ("visits", "2026-03-08")
    assert (document["outcome"], document["sites"], document["settled"]) == ("held", 2, 1)
    reason = "declared 4 rows, read 3 (-1)"
    assert document["held"] == [{"site": "pago", "reason": reason}]
    assert document["phases"].keys() == {"plan", "stage", "audit", "gate", "reconcile", "publish"}
    assert result.err == ""
    result = isopach("nightly", feed(night), *place, *sites, width=80)
    assert result.code == 3
    assert f"held pago: {reason}" in result.out
    for name in ("settled", "held", "read", "accepted", "rejected", "late", "duplicate", "rows/s"):
        assert re.search(rf"(^|\s){name}(\s|$)", result.out)
    result = isopach("nightly", feed(night), *place, "--site", "nyc", "--json")
    assert (result.code, result.document["outcome"]) == (0, "published")


def test_nightly_of_several_dates(tmp_path: Path) -> None:
    night = SmallNight(tmp_path, declare(tmp_path))
    for day in (8, 9):
        sent = [row("nyc", "a", at=f"2026-03-{day:02}T16:00:00Z")]
        night.deliver("nyc", sent, day=date(2026, 3, day))
    place = ["--landing", night.landing.path, *lake(night), "--site", "nyc"]
    result = isopach("nightly", feed(night), *place, "--date", "2026-03-08..2026-03-09", "--json")
    assert result.code == 0
    assert [one["date"] for one in result.document["nights"]] == ["2026-03-08", "2026-03-09"]
    assert len(night.states()) == 2
    result = isopach("nightly", feed(night), *place, "--date", "2026-03-09..2026-03-11", "--json")
    assert (result.code, "2026-03-10: not there" in result.err) == (1, True)
    assert [one["date"] for one in result.document["nights"]] == ["2026-03-09"]


def test_the_lake_may_be_named_by_the_environment(ran: SmallNight) -> None:
    found = CliRunner().invoke(
        app, ["verify", feed(ran), "--json"], env={"ISOPACH_LAKE": ran.lake.path}
    )
    assert json.loads(found.stdout)["windows"] == 3


def test_counts(ran: SmallNight) -> None:
    result = isopach("counts", feed(ran), *lake(ran), "--json")
    assert result.code == 0
    found = {one["site"]: one for one in result.document["counts"]}
    assert found.keys() == {"nyc", "kathmandu", "pago"}
    nyc = found["nyc"]
    assert {
        "site", "business_date", "state", "rows", "settled_by", "reason", "mode", "read",
        "accepted", "rejected", "late", "duplicate", "declared", "bytes", "run", "delivery",
    } <= nyc.keys()  # fmt: skip
    assert (nyc["state"], nyc["read"], nyc["accepted"], nyc["rows"]) == ("settled", 7, 4, 4)
    assert (nyc["rejected"], nyc["late"], nyc["duplicate"], nyc["declared"]) == (1, 1, 1, 7)
    assert (nyc["business_date"], nyc["mode"], nyc["delivery"]) == ("2026-03-08", "batch", "d1")
    assert found["pago"]["state"] == "held"
    text = isopach("counts", feed(ran), *lake(ran), width=80).out
    assert "declared   read  accepted  set aside" in text
    aside = "1 rejected, 1 late, 1 duplicate"
    assert re.search(rf"2026-03-08 +nyc +settled +7 +7 +4 +{aside} +yes", text)
    assert f"held 2026-03-08 pago: {found['pago']['reason']}" in text


def test_counts_of_some(ran: SmallNight) -> None:
    one = isopach("counts", feed(ran), *lake(ran), "--site", "nyc", "--json").document["counts"]
    assert [found["site"] for found in one] == ["nyc"]
    none = isopach("counts", feed(ran), *lake(ran), "--date", "2020-01-01", "--json")
    assert (none.code, none.document) == (0, {"counts": [], "three_way": []})
    assert "nothing of this was run" in isopach("counts", feed(ran), "--lake", "nowhere").out


def test_counts_show_the_newest_run_also_of_two_in_one_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = SmallNight(tmp_path, declare(tmp_path))
    for count, last in ((3, "ffffff"), (5, "000000")):
        monkeypatch.setattr("secrets.token_hex", lambda _, last=last: last)
        night.deliver("nyc", rows("nyc", count))
        night.run(only=frozenset({"nyc"}))
    (found,) = isopach("counts", feed(night), *lake(night), "--json").document["counts"]
    assert (found["read"], found["rows"], found["run"]) == (5, 5, found["settled_by"])


def test_quarantine(ran: SmallNight) -> None:
    result = isopach("quarantine", feed(ran), *lake(ran), "--json")
    assert result.code == 0
    document = result.document
    assert document.keys() == {"reasons", "rows"}
    reasons = {one["reason"]: one["rows"] for one in document["reasons"]}
    assert reasons == {
        "malformed": 1, "duplicate_key": 1, "earlier_business_date": 1, "missing": 1, "not_json": 1
    }  # fmt: skip
    assert document["rows"][0].keys() >= {
        "site", "business_date", "disposition", "reason", "column", "key", "raw", "_source",
        "_position",
    }  # fmt: skip
    text = isopach("quarantine", feed(ran), *lake(ran), width=80).out
    assert f"2026-03-08 nyc  malformed: minutes  {DAY}/nyc/d1/visits.jsonl:4\n" in text
    assert re.search(r"rejected +malformed +minutes +1", text)


def test_quarantine_of_some(ran: SmallNight) -> None:
    arguments = ["quarantine", feed(ran), *lake(ran), "--json"]
    some = isopach(*arguments, "--reason", "malformed").document
    assert [one["reason"] for one in some["rows"]] == ["malformed"]
    assert [one["reason"] for one in some["reasons"]] == ["malformed"]
    assert len(isopach(*arguments, "--limit", "2").document["rows"]) == 2
    assert isopach(*arguments, "--limit", "0").document["rows"] == []
    assert {one["site"] for one in isopach(*arguments, "--site", "pago").document["rows"]} == {
        "pago"
    }
    none = isopach(*arguments, "--date", "2020-01-01").document
    assert none == {"reasons": [], "rows": []}
    assert "nothing was set aside" in isopach(*arguments[:-1], "--date", "2020-01-01").out


def test_sensitive_columns_are_masked_wherever_they_may_stand(ran: SmallNight) -> None:
    for arguments in (["--json"], []):
        result = isopach("quarantine", feed(ran), *lake(ran), *arguments)
        assert "secret" not in result.out
        assert "•••" in result.out or r"\u2022" in result.out
        assert "nyc-1" in result.out
    keyed = load_declaration(feed(ran)).feed
    columns = {**FEED["columns"], "id": {"type": "string", "required": True, "sensitive": True}}
    other = ran.folder / "keyed.yaml"
    other.write_text(yaml.safe_dump({**FEED, "columns": columns}))
    assert keyed.key == ("id",)
    assert "nyc-1" not in isopach("quarantine", str(other), *lake(ran)).out


def test_verify(ran: SmallNight, tmp_path: Path) -> None:
    result = isopach("verify", feed(ran), *lake(ran), "--json")
    assert result.code == 0
    document = result.document
    assert document.keys() == {
        "feed", "windows", "settled", "records", "quarantined", "findings"
    }  # fmt: skip
    assert (document["windows"], document["settled"], document["records"]) == (3, 2, 7)
    text = isopach("verify", feed(ran), *lake(ran)).out
    assert text.startswith("verified 3 windows (2 settled), 7 records, 5 set aside")


def test_verify_of_a_lake_that_was_tampered_with(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    night = SmallNight(tmp_path, declare(tmp_path))
    night.deliver("nyc", rows("nyc", 3))
    night.run(only=frozenset({"nyc"}))
    DeltaTable(f"{night.lake.path}/visits/records").delete("id = 'nyc-1'")
    result = isopach("verify", feed(night), *lake(night), "--json")
    assert result.code == 1
    (finding, *_) = result.document["findings"]
    assert finding.keys() == {"check", "site", "business_date", "message"}
    assert (finding["site"], finding["business_date"]) == ("nyc", "2026-03-08")
    text = isopach("verify", feed(night), *lake(night)).out
    assert "records: nyc 2026-03-08: visits/records has 2, ledger/counts 3 accepted" in text
    assert "not verified" in text


def test_verify_of_nothing_proves_nothing(ran: SmallNight) -> None:
    result = isopach("verify", feed(ran), *lake(ran), "--date", "2020-01-01")
    assert result.code == 1
    assert "nothing to verify" in result.out


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    result = isopach("demo", "--to", tmp_path / "demo", "--rows", "2000", "--json")
    assert result.code == 0
    document = result.document
    assert document["verified"] is True
    assert "2026" in Path(document["report"]).read_text(encoding="utf-8")
    assert [night["date"] for night in document["nights"]] == [
        "2026-03-07", "2026-03-08", "2026-03-09"
    ]  # fmt: skip
    assert all(night["injected_faults"] > 0 for night in document["nights"])
    assert isopach("verify", "sales", "--lake", tmp_path / "demo" / "lake").code == 0


# Bad input


@pytest.fixture
def night(tmp_path: Path) -> SmallNight:
    """A night that could be run."""
    night = SmallNight(tmp_path, declare(tmp_path))
    night.deliver("nyc", rows("nyc", 2))
    return night


def nightly(night: SmallNight, **changes: str | Path | None) -> Result:
    """Run a night with some options changed, or left out if None."""
    options: dict[str, Any] = {
        "feed": feed(night),
        "landing": night.landing.path,
        "lake": night.lake.path,
        "date": f"{DAY}",
        "site": "nyc",
    }
    options |= changes
    given = [options.pop("feed")]
    for name, value in options.items():
        given += [f"--{name}", value] if value is not None else []
    return isopach("nightly", *given)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"feed": "nonesuch"}, "nonesuch: no such feed: give a path to its YAML, or one of"),
        ({"feed": "nowhere/feed.yaml"}, "nowhere/feed.yaml: "),
        ({"date": "8.3.2026"}, "--date: '8.3.2026' is not a date; write YYYY-MM-DD, or FROM..TO"),
        ({"date": "2026-02-30"}, "--date: '2026-02-30' is not a date"),
        ({"date": ""}, "--date: '' is not a date"),
        ({"date": "2026-03-08.."}, "--date: '2026-03-08..' is not a date"),
        ({"date": "2026-03-08..2026-03-07"}, "--date: '2026-03-08..2026-03-07' ends before it"),
        ({"site": "paris"}, "--site: 'paris' is not registered in "),
        ({"memory": "lots"}, "--memory: 'lots' is not an amount of memory; write 2GB or 800MB"),
        ({"memory": "-1GB"}, "--memory: '-1GB' is not an amount of memory"),
        ({"memory": "0GB"}, "--memory: '0GB' is not an amount of memory"),
        ({"memory": "1000"}, "--memory: '1000' is not an amount of memory"),
        ({"runner": "Spork"}, "--runner: 'Spork' cannot be used: "),
        ({"lake": "http://host/lake"}, "http://host/lake: not an address; use a folder, s3://"),
        ({"lake": "s3://"}, "s3://: not an address"),
        ({"landing": "ftp://host/landing"}, "ftp://host/landing: not an address"),
        ({"lake": None}, "Missing option '--lake'"),
        ({"landing": None}, "give --landing, where deliveries lie, or --source, the stream's log"),
        ({"source": "spool:x"}, "--source: 'spool:x' cannot be given together with --landing"),
        ({"date": None}, "Missing option '--date'"),
        ({"speed": "high"}, "No such option"),
    ],
)
def test_what_is_asked_wrongly_exits_2_and_writes_nothing(
    night: SmallNight, changes: dict[str, str | None], said: str
) -> None:
    assert said in refused(nightly(night, **changes), 2)
    assert not Path(night.lake.path).exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("feed: [", "visits.yaml:1: not YAML: "),
        ("- a\n- b\n", "visits.yaml:1: "),
        ("", "visits.yaml"),
        (yaml.safe_dump({**FEED, "key": ["code"]}), "'code' is not a column"),
        (yaml.safe_dump({**FEED, "sites": "none.csv"}), "none.csv"),
        (yaml.safe_dump({**FEED, "colour": "red"}), "colour: not a field that is known here"),
    ],
)
@pytest.mark.parametrize("command", ["check", "nightly"])
def test_a_bad_declaration_exits_2_and_writes_nothing(
    night: SmallNight, text: str, said: str, command: str
) -> None:
    (night.folder / "visits.yaml").write_text(text)
    result = isopach("check", feed(night)) if command == "check" else nightly(night)
    assert said in refused(result, 2)
    assert not Path(night.lake.path).exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"landing": "nowhere"}, "nowhere: not a folder; --landing takes the landing zone's root"),
        ({"date": "2026-03-10"}, "visits/2026-03-10: not there, so no site delivered anything"),
    ],
)
def test_what_is_not_there_exits_1_and_writes_nothing(
    night: SmallNight, changes: dict[str, str], said: str
) -> None:
    assert said in refused(nightly(night, **changes), 1)
    assert not Path(night.lake.path).exists()


def test_a_landing_zone_that_is_a_file(night: SmallNight, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file: not a folder" in refused(nightly(night, landing=tmp_path / "file"), 1)
    assert not Path(night.lake.path).exists()


def test_a_lake_that_is_a_file(night: SmallNight, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    message = refused(nightly(night, lake=tmp_path / "file"), 1)
    assert "Not a directory" in message
    assert str(tmp_path / "file") in message
    assert (tmp_path / "file").read_text() == "mine"


def test_a_changed_column_exits_2_and_changes_nothing(night: SmallNight) -> None:
    assert nightly(night).code == 0
    before = content(night.lake, night.declaration)
    files = sorted(Path(night.lake.path).rglob("*"))
    columns = {**FEED["columns"], "minutes": "string"}
    (night.folder / "visits.yaml").write_text(yaml.safe_dump({**FEED, "columns": columns}))
    message = refused(nightly(night), 2)
    assert "column 'minutes' is stored as int32 and declared as" in message
    assert "declare it under a new name" in message
    assert sorted(Path(night.lake.path).rglob("*")) == files
    assert_same(before, content(night.lake, night.declaration))


@pytest.mark.parametrize("command", ["counts", "quarantine", "verify"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lake", "x", "--date", "never"], "--date: 'never' is not a date"),
        (["--lake", "x", "--date", "2026-03-07..2026-03-08"], "is not one date"),
        (["--lake", "ftp://x"], "ftp://x: not an address"),
        ([], "Missing option '--lake'"),
        (["--lake", "x", "--limit", "-1"], "Invalid value for '--limit'"),
    ],
)
def test_questions_asked_wrongly_exit_2(
    ran: SmallNight, command: str, arguments: list[str], said: str
) -> None:
    if "--limit" in arguments and command != "quarantine":
        said = "No such option"
    assert said in refused(isopach(command, feed(ran), *arguments), 2)
    assert refused(isopach(command, "nonesuch", *arguments), 2)


def test_the_demo_takes_no_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    message = refused(isopach("demo", "--to", tmp_path), 1)
    assert "holds files that no demo made; choose another with --to" in message
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert refused(isopach("demo", "--to", tmp_path / "mine.txt"), 1)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_hook_that_fails_is_one_message(night: SmallNight) -> None:
    (night.folder / "visits.yaml").write_text(yaml.safe_dump({**FEED, "hook": "json:dumps"}))
    message = refused(nightly(night), 1)
    assert "not JSON serializable" in message
    assert night.table("records").is_empty()
    assert not list(Path(night.lake.path).rglob("visits/records/*/*.parquet"))
    (run,) = night.table("runs").iter_rows(named=True)
    assert run["outcome"].startswith("failed: ")


# Stopped


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night that takes some seconds."""
    landing = tmp_path_factory.mktemp("large")
    write_night(landing, DAY, rows=1_000_000)
    return landing


@pytest.mark.parametrize("moment", ["planning", "staging"])
def test_ctrl_c_says_so_and_leaves_nothing_half_published(
    large: Path, tmp_path: Path, moment: str
) -> None:
    lake = tmp_path / "lake"
    arguments = ["nightly", "sales", "--landing", str(large), "--lake", str(lake)]
    arguments += ["--date", f"{DAY}", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "isopach.jobs.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # ignored in background
    )
    sign = "ledger/runs/_delta_log/*1.json" if moment == "planning" else "sales/records/*/*.parquet"
    deadline = time.monotonic() + 60
    while not list(lake.glob(sign)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "stopped; nothing half done is visible, and the same command starts over\n"
    for table in ("records", "quarantine", "totals_by_sku"):
        assert pl.read_delta(str(lake / "sales" / table)).is_empty()
    runs = pl.read_delta(str(lake / "ledger/runs"))
    assert runs.filter(outcome="published").is_empty()
    if moment == "planning":
        return
    assert runs["outcome"].str.starts_with("failed: ").to_list() == [True]
    result = isopach(*arguments)
    assert result.code == 0
    assert result.document["accepted"] == pl.read_delta(str(lake / "sales/records")).height


def test_places_are_absolute() -> None:
    assert Place.of("x").path == str(Path.cwd() / "x")
