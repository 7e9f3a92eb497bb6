"""`isopach repair`: settled windows corrected from a newer delivery or from the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Result, isopach, refused
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from small_night import DAY, EXAMPLES, FEED, SmallNight, declare, row, rows
from small_stream import SmallStream, line

from isopach.feeds.spool import SpoolWriter
from isopach.jobs import endings, repairing
from isopach.jobs.micro_batches import Options
from isopach.jobs.stream import run_stream
from isopach.lake import publish as publishing
from isopach.pipelines.spool import Spool

AGAIN: dict[str, Any] = {"name": "d2", "at": "2026-03-09T03:00:00Z"}


def repair(night: SmallNight, *more: str) -> Result:
    feed, lake = night.folder / "visits.yaml", night.lake.uri
    given = more if "--source" in more else ("--landing", night.landing.uri, *more)
    return isopach("repair", feed, "--lake", lake, "--date", f"{DAY}", *given)


@pytest.fixture
def night(tmp_path: Path) -> SmallNight:
    """Two sites are settled."""
    night = SmallNight(tmp_path, declare(tmp_path, FEED))
    night.deliver("nyc", rows("nyc", 3))
    night.deliver("pago", rows("pago", 2))
    night.run(only=frozenset({"nyc", "pago"}))
    return night


SITES = ("--site", "nyc", "--site", "pago")


def test_only_what_differs_is_replaced(night: SmallNight) -> None:
    before = {w["site"]: w for w in night.table("windows").to_dicts()}
    first, second = rows("nyc", 3)[1:]
    night.deliver("nyc", [first | {"note": "secret"}, second, row("nyc", "new")], **AGAIN)
    done = repair(night, *SITES, "--json")
    assert done.code == 0
    found = done.document
    assert (found["outcome"], found["compared"], found["again"]) == ("repaired", 2, 0)
    assert found["repaired"] == [["nyc", f"{DAY}"]]
    told = {d["key"]: (d["kind"], d["cause"], d["columns"]) for d in found["differences"]}
    assert told == {
        "nyc-0": ("extra", "not_in_delivery", None),
        "nyc-1": ("changed", "value_changed", "note"),
        "new": ("missing", "not_in_delivery", None),
    }
    after = {w["site"]: w for w in night.table("windows").to_dicts()}
    assert after["pago"] == before["pago"]
    assert after["nyc"]["settled_by"] == found["run"]
    assert set(night.table("records").filter(site="nyc")["id"]) == {"nyc-1", "nyc-2", "new"}
    recorded = night.table("differences")
    assert recorded["repaired_by"].to_list() == [found["run"]] * 3
    (run,) = night.table("runs").filter(cadence="repair").to_dicts()
    assert run["outcome"] == "repaired; compared again, 0 records differ"
    assert night.findings() == []
    again = repair(night, *SITES)
    assert again.out == "2 of 2 settled windows agree with what is there now\n"
    versions = night.table("windows")["version"].to_list()
    assert repair(night, *SITES).code == 0
    assert night.table("windows")["version"].to_list() == versions
    stored = {p.name for p in Path(night.lake.path).glob("visits/records/*/*.parquet")}
    assert not any(name.startswith(run["run"]) for name in stored - named(night))


def named(night: SmallNight) -> set[str]:
    """Return the names of files that the records have."""
    from isopach.jobs.nightly import feed_tables
    from isopach.lake.commits import newest

    now = newest(night.lake, feed_tables(night.declaration).records)
    assert now is not None
    return {Path(file.path).name for file in now.files}


def test_what_was_rejected_before_is_told(night: SmallNight) -> None:
    bad = row("nyc", "bad", minutes="many")
    night.deliver("nyc", [*rows("nyc", 3), bad], **AGAIN)
    night.run(only=frozenset({"nyc"}))
    night.deliver("nyc", [*rows("nyc", 3), row("nyc", "bad")], name="d3", at="2026-03-09T04:00:00Z")
    (one,) = repair(night, "--site", "nyc", "--json").document["differences"]
    assert (one["key"], one["cause"]) == ("bad", "rejected_in_batch")
    assert "set it aside as rejected" in one["evidence"]
    assert night.table("quarantine").is_empty()
    assert night.findings() == []


def test_late_rows_of_the_log_reopen_a_window(tmp_path: Path) -> None:
    stream = SmallStream.at(tmp_path)
    log, source = Spool(tmp_path / "spool", "visits"), f"spool:{tmp_path / 'spool'}"

    def land(*some: str) -> None:
        with SpoolWriter(tmp_path / "spool", "visits", "0") as writer:
            writer.append(list(some))
        run_stream(stream.declaration, log, stream.lake, Options(until_idle=True), {})

    land(line("nyc", "a", f"{DAY}T16:00"))
    feed, lake = stream.folder / "visits.yaml", stream.lake.uri
    night = ("nightly", feed, "--lake", lake, "--date", f"{DAY}", "--site", "nyc")
    assert isopach(*night, "--source", source).code == 0
    land(line("nyc", "late", f"{DAY}T16:01"))
    assert stream.table("quarantine")["key"].to_list() == ["late"]
    done = repair(stream, "--source", source, "--site", "nyc")
    assert done.code == 0
    assert "nyc  missing: not_in_delivery  late" in done.out
    assert "1 replaced and compared again: nothing differs" in done.out
    assert set(stream.table("records")["id"]) == {"a", "late"}
    assert stream.findings() == []


def test_lost_records_are_brought_back(night: SmallNight) -> None:
    DeltaTable(f"{night.lake.uri}/visits/records").delete("id = 'nyc-1'")
    DeltaTable(f"{night.lake.uri}/visits/totals_all").delete("site = 'pago'")
    assert night.findings() != []
    found = repair(night, *SITES, "--json").document
    assert {site for site, _ in found["repaired"]} == {"nyc", "pago"}
    (lost,) = found["differences"]
    assert (lost["key"], lost["cause"]) == ("nyc-1", "lost")
    assert "visits/records has 2, ledger/counts 3 accepted" in lost["evidence"]
    assert night.findings() == []


def test_windows_that_cannot_be_repaired_are_told(night: SmallNight) -> None:
    night.deliver("nyc", rows("nyc", 1), rows=9, **AGAIN)
    night.deliver("kathmandu", rows("kathmandu", 1))
    before = night.content()
    told = repair(night, "--json")
    assert told.code == 3
    left = {one["site"]: one["reason"] for one in told.document["left"]}
    assert left["nyc"] == "declared 9 rows, read 1 (-8)"
    assert left["kathmandu"] == "never settled: run the night"
    assert "not delivered" in left["kiritimati"]
    assert all(before[n].equals(night.content()[n]) for n in before)


IDS = st.dictionaries(st.integers(0, 12), st.integers(0, 3), min_size=1, max_size=10)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.fixed_dictionaries({"nyc": IDS, "pago": IDS}), min_size=2, max_size=3))
def test_repaired_is_as_settled_from_the_newest_delivery(
    tmp_path_factory: pytest.TempPathFactory, deliveries: list[dict[str, dict[int, int]]]
) -> None:
    folders = [tmp_path_factory.mktemp(name) for name in ("repaired", "settled")]
    night, right = (SmallNight(folder, declare(folder, FEED)) for folder in folders)

    def deliver(to: SmallNight, number: int) -> None:
        for site, values in deliveries[number].items():
            some = [row(site, str(id), minutes=value) for id, value in values.items()]
            to.deliver(site, some, name=f"d{number}", at=f"2026-03-09T0{number}:00:00Z")

    only = frozenset({"nyc", "pago"})
    deliver(night, 0)
    night.run(only=only)
    for number in range(1, len(deliveries)):
        deliver(night, number)
        assert repair(night, *SITES).code == 0
        assert night.findings() == []
        again = repair(night, *SITES, "--json").document
        assert (again["outcome"], again["differences"]) == ("agrees", [])
    deliver(right, len(deliveries) - 1)
    right.run(only=only)
    payload = list(FEED["columns"])
    first, second = (n.table("records").select(payload).sort(payload) for n in (night, right))
    assert first.equals(second)
    for total in FEED["totals"]:
        first, second = (n.table(f"totals_{total}").drop("_run") for n in (night, right))
        assert first.sort(first.columns).equals(second.sort(first.columns))


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (repairing, "stage"),
        (repairing, "write_verdicts"),
        (publishing, "replace_rows"),
        (publishing, "upsert"),
        (repairing, "publish"),
        (repairing, "finish"),
    ],
)
def test_killed_repair_is_finished_by_the_next(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch, module: Any, step: str
) -> None:
    night.deliver("nyc", rows("nyc", 5), **AGAIN)
    real = getattr(module, step)

    class KilledError(BaseException):
        pass

    def killed(*given: Any, **named: Any) -> Any:
        real(*given, **named)
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(module, step, killed)
        patched.setattr(repairing, "abandon", lambda *_: None)  # nobody is there to tidy up
        with pytest.raises(KilledError):
            repair(night, *SITES)
    monkeypatch.setattr(endings.Run, "killed", property(lambda _: True))
    assert repair(night, *SITES).code == 0
    assert night.table("records").filter(site="nyc").height == 5
    assert night.findings() == []
    assert not list((Path(night.lake.path) / "visits/_staging").glob("2*"))


def test_bad_input_is_refused(night: SmallNight) -> None:
    feed, lake = night.folder / "visits.yaml", night.lake.uri
    command = ("repair", feed, "--lake", lake, "--date", f"{DAY}")
    assert "give --landing" in refused(isopach(*command), 2)
    assert "'paris' is not registered" in refused(repair(night, "--site", "paris"), 2)
    assert "not a source" in refused(isopach(*command, "--source", "tape:x"), 1)
    assert json.loads(repair(night, *SITES, "--json").out)["outcome"] == "agrees"
