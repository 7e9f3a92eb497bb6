"""`isopach evidence`, and `isopach verify --evidence` here and on another machine."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import isopach, refused
from settled_lake import AT, BEFORE, SETTLED, SettledLake, settled_lake
from small_night import DAY
from small_stream import SmallStream, line

from isopach.jobs.nightly import feed_tables
from isopach.lake import tables
from isopach.lake.compact import compact
from isopach.lake.replace import upsert
from isopach.pipelines.evidence import hash_of


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> SettledLake:
    lake = settled_lake(tmp_path_factory.mktemp("good"))
    lake.evidence()
    return lake


@pytest.fixture
def lake(good: SettledLake, tmp_path: Path) -> SettledLake:
    return good.copy(tmp_path)


@pytest.fixture
def file(lake: SettledLake) -> Path:
    return lake.night.folder / "evidence.json"


def body(file: Path) -> Any:
    return json.loads(file.read_text())["evidence"]


def test_it_says_what_the_date_rests_on(good: SettledLake) -> None:
    file = good.night.folder / "evidence.json"
    document = json.loads(file.read_text())
    said = document["evidence"]
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert document["sha256"] == hashlib.sha256(canonical.encode()).hexdigest()
    assert (said["format"], said["feed"], said["date"]) == (1, "visits", f"{DAY}")
    for table in said["tables"]:
        delta = good.delta(table["table"])
        assert table["version"] == delta.version()
        for one in table["files"]:
            content = Path(delta.table_uri.removeprefix("file://"), one["path"]).read_bytes()
            assert len(content) == one["size"]
            assert hashlib.sha256(content).hexdigest() == one["sha256"]
    assert str(good.night.folder) not in file.read_text()
    states = {row["site"]: (row["state"], row["rows"]) for row in said["windows"]}
    assert states == {
        "nyc": ("settled", 6),
        "kathmandu": ("settled", 3),
        "pago": ("provisional", 4),
    }
    manifest = good.night.folder / f"landing/visits/{DAY}/nyc/d1/manifest.json"
    counts = {(row["site"], row["mode"]): row for row in said["counts"]}
    assert set(counts) == {("nyc", "batch"), ("nyc", "stream"), ("kathmandu", "batch")}
    batch = counts["nyc", "batch"]
    assert batch["manifest"] == hashlib.sha256(manifest.read_bytes()).hexdigest()
    assert [batch[n] for n in ("read", "accepted", "rejected", "duplicate")] == [8, 6, 1, 1]
    assert {row["kind"] for row in said["differences"]} == {"missing", "extra"}
    assert said["fences"] == [{"source": "spool/0", "fence": 12, "rows": 12}]
    sources = {
        (c["table"].split("/")[1], c["source"].split("/")[-1]): (c["first"], c["next"], c["rows"])
        for c in said["contents"]
        if c["site"] == "nyc" and c["source"]
    }
    assert sources == {
        ("records", "visits.jsonl"): (0, 6, 6),
        ("quarantine", "visits.jsonl"): (6, 8, 2),
        ("quarantine", "0"): (7, 8, 1),
    }
    night, streamed = sorted(said["runs"], key=lambda run: str(run["mode"]))
    assert night["declaration"] == streamed["declaration"] == said["declaration"]
    assert night["parameters_hash"] == night["parameters_text_hash"]


def test_it_holds_here_and_for_a_copy(lake: SettledLake, file: Path) -> None:
    shown = lake.command("verify", "--evidence", file)
    assert (shown.code, shown.out) == (
        0, f"holds: evidence of visits {DAY}: 2 settled windows, 12 files\n"
    )  # fmt: skip
    again = lake.evidence()
    assert lake.broken(again) is None
    printed = lake.command("evidence", "--date", f"{DAY}", "--json")
    assert printed.document == json.loads(again.read_text())


def test_it_is_written_beside_the_caller(
    lake: SettledLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lake.night.folder)
    said = lake.command("evidence", "--date", f"{DAY}").out
    file = lake.night.folder / f"visits-{DAY}.evidence.json"
    assert said.startswith(f"{file.name}: evidence of visits {DAY}: 2 settled windows, 12 files\n")
    assert json.loads(file.read_text())["sha256"] in said


def test_it_holds_while_a_stream_and_other_nights_go_on(lake: SettledLake, file: Path) -> None:
    lake.send(line("nyc", "late", AT), line("nyc", "nyc-1", AT), "[", line("pago", "pago-9", AT))
    lake.night.run(BEFORE, only=SETTLED)
    lake.night.deliver("pago", [json.loads(line("pago", "pago-0", AT))])
    lake.night.run(only=frozenset({"pago"}))
    assert lake.broken(file) is None
    assert lake.broken(lake.evidence()) is None


def test_compaction_keeps_it(lake: SettledLake, file: Path) -> None:
    to = feed_tables(lake.night.declaration)
    for table in (*to.all, tables.COUNTS):
        compact(lake.night.lake, table, fewest=2)
    found = lake.command("verify", "--evidence", file)
    assert found.code == 0
    assert "visits/records moved on from version " in found.out
    assert "is no longer active" in found.out
    assert "the rows are the same" in found.out
    old = Path(lake.night.folder, "lake/visits/records", _path(file, "visits/records"))
    whole = old.read_bytes()
    old.write_bytes(whole[:-1])
    broken = lake.broken(file)
    assert broken["message"].endswith(f"{len(whole) - 1:,} bytes, {len(whole):,} were committed")
    for table in to.all:
        lake.delta(table.name).vacuum(
            retention_hours=0, dry_run=False, enforce_retention_duration=False
        )
    assert lake.broken(file) is None


def _path(file: Path, table: str) -> str:
    """Return the first file of a table in evidence."""
    found = next(one for one in body(file)["tables"] if one["table"] == table)
    return str(found["files"][0]["path"])


def test_another_night_is_told(lake: SettledLake, file: Path) -> None:
    lake.night.run(only=SETTLED)
    broken = lake.broken(file)
    assert (broken["check"], broken["site"]) == ("windows", "kathmandu")
    assert "it was published anew, make new evidence" in broken["message"]


def test_a_night_that_was_then_held_leaves_it(lake: SettledLake, file: Path) -> None:
    rows = [json.loads(line("nyc", "new", AT)), {"id": "bad"}]
    lake.night.deliver("nyc", rows, rows=9, name="d2", at="2026-03-10T02:00:00Z")
    assert lake.night.run(only=frozenset({"nyc"})).outcome == "held"
    assert lake.broken(file) is None


def test_an_edited_file_is_told_first(lake: SettledLake, file: Path) -> None:
    document = json.loads(file.read_text())
    document["evidence"]["windows"][0]["rows"] += 1
    file.write_text(json.dumps(document))
    broken = lake.broken(file)
    assert broken["check"] == "evidence"
    assert "was changed: its text has the hash" in broken["message"]
    document["sha256"] = hash_of(document["evidence"])
    file.write_text(json.dumps(document))
    assert lake.broken(file)["check"] == "windows"


def test_the_first_thing_is_named(lake: SettledLake, file: Path) -> None:
    """Break one thing after the other, each checked before those broken already."""
    nyc = f"site = 'nyc' and business_date = '{DAY}'"
    day = f"business_date = '{DAY}'"
    found = []

    def look() -> None:
        broken = lake.broken(file)
        found.append((broken["check"], broken["site"], broken["message"].split(":")[0]))

    lake.delete("ledger/differences", f"{day} and kind = 'extra'")
    look()
    lake.update("ledger/runs", "mode = 'stream'", code_version="9.9")
    look()
    lake.update("ledger/counts", f"{nyc} and mode = 'stream'", late=0, read=1)
    look()
    lake.update("visits/totals_all", nyc, longest=99)
    look()
    lake.update("visits/quarantine", f"{nyc} and disposition = 'rejected'", raw="{}")
    look()
    lake.update("visits/records", f"{nyc} and id = 'nyc-1'", note="x")
    look()
    lake.update("ledger/windows", nyc, settled_by="nobody")
    look()
    assert found == [
        ("differences", "nyc", "ledger/differences"),
        ("runs", None, "ledger/runs"),
        ("counts", "nyc", "ledger/counts"),
        ("rows", "nyc", "visits/totals_all"),
        ("rows", "nyc", "visits/quarantine"),
        ("windows", "nyc", "visits/records"),
        ("windows", "nyc", "ledger/windows"),
    ]
    last = lake.files("visits/totals_all", DAY)[0]
    last.unlink()
    look()
    assert found[-1][0] == "files"
    (lake.night.folder / "lake/ledger/runs/_delta_log").rename(lake.night.folder / "gone")
    look()
    assert found[-1] == ("tables", None, "ledger/runs")


def test_an_older_copy_of_the_lake_is_told(
    good: SettledLake, lake: SettledLake, file: Path
) -> None:
    lake.send(line("pago", "new", AT))
    newer = lake.evidence()
    broken = good.broken(newer)
    assert broken["check"] == "tables"
    assert "an older copy, or its log was cut" in broken["message"]


def test_a_lake_of_an_older_version_has_no_manifest(tmp_path: Path) -> None:
    """A lake written before counts had a manifest's hash has evidence too, and gets the column."""
    lake = SettledLake(SmallStream.at(tmp_path))
    lake.night.deliver("nyc", [json.loads(line("nyc", "a", AT))])
    older = tables.COUNTS.schema.remove(tables.COUNTS.schema.get_field_index("manifest"))
    lake.night.run(only=SETTLED)
    counts = lake.night.table("counts").drop("manifest")
    shutil.rmtree(f"{lake.night.lake.uri}/ledger/counts")
    upsert(lake.night.lake, replace(tables.COUNTS, schema=older), counts, ["run", "business_date"])
    assert lake.command("verify").code == 0
    file = lake.evidence()
    assert {row["manifest"] for row in body(file)["counts"]} == {None}
    assert lake.broken(file) is None
    lake.send(line("pago", "b", AT))
    assert lake.broken(file) is None
    lake.night.run(only=SETTLED)
    assert all(row["manifest"] for row in body(lake.evidence())["counts"])
    assert lake.command("verify").code == 0


def test_bad_input_is_refused(lake: SettledLake, file: Path, tmp_path: Path) -> None:
    def verify(content: str, *more: str) -> str:
        other = tmp_path / "other.json"
        other.write_text(content)
        return refused(lake.command("verify", "--evidence", other, *more), 2)

    assert "No such file" in refused(lake.command("verify", "--evidence", tmp_path / "none"), 2)
    assert "is it the whole file?" in verify(file.read_text()[:100])
    assert "not what `isopach evidence` writes: evidence: must be given" in verify('{"a": 1}')
    said = body(file)

    def signed(**changes: Any) -> str:
        changed = said | changes
        return json.dumps({"evidence": changed, "sha256": hash_of(changed)})

    assert "format: 7 is not known here, only 1" in verify(signed(format=7))
    assert "is evidence of feed 'sales', not of 'visits'" in verify(signed(feed="sales"))
    assert "tables: " in verify(signed(tables=3))
    assert f"--date: '{BEFORE}' is not the date of the evidence" in verify(
        signed(), "--date", f"{BEFORE}"
    )
    nothing = refused(lake.command("evidence", "--date", "2026-01-01"), 1)
    assert nothing.startswith("visits 2026-01-01: no settled window to give evidence of")
    no_date = isopach("evidence", lake.night.folder / "visits.yaml", "--lake", "lake")
    assert no_date.code == 2


def test_there_is_no_evidence_of_what_does_not_hold(lake: SettledLake) -> None:
    lake.update("visits/records", f"business_date = '{DAY}' and id = 'nyc-1'", note="x")
    said = refused(lake.command("evidence", "--date", f"{DAY}", "--json"), 1)
    assert said.startswith(f"nyc {DAY}: visits/records gives 6 rows with checksum")
    for zeroed in (True, False):
        damaged = lake.files("visits/quarantine", DAY)[0]
        size = damaged.stat().st_size
        damaged.write_bytes(bytes(size)) if zeroed else damaged.unlink()
        said = refused(lake.command("evidence", "--date", f"{DAY}", "--json"), 1)
        assert said.startswith(f"visits {DAY}: files are gone or damaged")
