"""`isopach reconcile`: what differs, and why, with nothing changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Result, isopach, refused
from small_night import DAY, declare
from small_stream import STREAM, SmallStream, line

from isopach.feeds.spool import SpoolWriter
from isopach.jobs.micro_batches import Options
from isopach.jobs.stream import run_stream
from isopach.pipelines.spool import Spool

AT = f"{DAY}T16:00"


@pytest.fixture
def stream(tmp_path: Path) -> SmallStream:
    """A stream that has one record of two, and one that was not delivered."""
    stream = SmallStream.at(tmp_path)
    with SpoolWriter(tmp_path / "spool", "visits", "0") as writer:
        writer.append([line("nyc", "both", AT, note="secret"), line("nyc", "extra", AT)])
    log = Spool(tmp_path / "spool", "visits")
    run_stream(stream.declaration, log, stream.lake, Options(until_idle=True), {})
    ids: dict[str, Any] = {"both": {"note": "other"}, "never": {}}
    stream.deliver("nyc", [json.loads(line("nyc", id, AT, **more)) for id, more in ids.items()])
    return stream


def reconcile(stream: SmallStream, *more: str) -> Result:
    feed, lake = stream.folder / "visits.yaml", stream.lake.uri
    return isopach("reconcile", feed, "--lake", lake, "--date", f"{DAY}", *more)


def test_deliveries_are_compared_and_nothing_is_changed(stream: SmallStream) -> None:
    before = stream.content()
    landing = ["--landing", stream.landing.uri]
    found = reconcile(stream, *landing, "--json")
    assert found.code == 3
    assert found.document["compared"] == 1
    assert [(r["key"], r["kind"], r["cause"]) for r in found.document["differences"]] == [
        ("both", "changed", "value_changed"),
        ("extra", "extra", "not_in_delivery"),
        ("never", "missing", "never_sent"),
    ]
    assert found.document["breaches"] == [
        {
            "site": "nyc",
            "business_date": f"{DAY}",
            "reason": "batch and stream differ: 1 records missing, 0 allowed; "
            "1 records extra, 0 allowed",
        }
    ]
    after = stream.content()
    assert all(before[name].equals(after[name]) for name in before)
    assert [p.name for p in (stream.folder / "lake/visits/_staging").iterdir()] == ["landings"]
    shown = reconcile(stream, *landing, "--cause", "value_changed").out
    assert "nyc  changed in note: value_changed  both" in shown
    assert '  stream: {"note":"•••"}\n  batch: {"note":"•••"}' in shown
    assert "never" not in shown
    assert stream.findings() == []


def test_another_declaration_is_told_apart(tmp_path: Path) -> None:
    stream = SmallStream.at(tmp_path)
    with SpoolWriter(tmp_path / "spool", "visits", "0") as writer:
        writer.append([line("nyc", "a", AT)])
    log = Spool(tmp_path / "spool", "visits")
    feed = json.loads(stream.declaration.feed.model_dump_json())
    run_stream(stream.declaration, log, stream.lake, Options(until_idle=True), {"feed": feed})
    more = {**STREAM, "columns": {**STREAM["columns"], "more": "string"}}
    changed = SmallStream(tmp_path, declare(tmp_path, more))
    changed.deliver("nyc", [json.loads(line("nyc", "a", AT, more="x"))])
    (one,) = reconcile(changed, "--landing", changed.landing.uri, "--json").document["differences"]
    assert (one["kind"], one["cause"], one["columns"]) == ("changed", "schema", "more")


def test_what_a_night_found_is_shown(stream: SmallStream) -> None:
    assert reconcile(stream).out == "nothing differs\n"
    stream.run(only=frozenset({"nyc"}))
    found = reconcile(stream)
    assert found.code == 3
    assert "never_sent" in found.out
    again = reconcile(stream, "--landing", stream.landing.uri)
    assert again.code == 0
    assert "nights have settled all that were delivered" in again.out
    limited = reconcile(stream, "--limit", "0").out
    assert "•••" not in limited
    assert "value_changed" in limited


def test_what_an_earlier_night_found_is_over_when_a_later_one_agrees(tmp_path: Path) -> None:
    stream = SmallStream(tmp_path, declare(tmp_path, {**STREAM, "reconcile": {"breach": "hold"}}))
    with SpoolWriter(tmp_path / "spool", "visits", "0") as writer:
        writer.append([line("nyc", "both", AT)])
    log = Spool(tmp_path / "spool", "visits")
    run_stream(stream.declaration, log, stream.lake, Options(until_idle=True), {})
    for number, ids in enumerate((["both", "never"], ["both"])):
        some = [json.loads(line("nyc", id, AT)) for id in ids]
        stream.deliver("nyc", some, name=f"d{number}", at=f"2026-03-09T0{number}:00:00Z")
        stream.run(only=frozenset({"nyc"}))
        assert ("never_sent" in reconcile(stream).out) == (number == 0)
    assert reconcile(stream).out == "nothing differs\n"


def test_bad_input_is_refused(stream: SmallStream) -> None:
    assert "--date: 'x' is not a date" in refused(
        isopach("reconcile", stream.folder / "visits.yaml", "--lake", "lake", "--date", "x"), 2
    )
    assert "no-runner" in refused(reconcile(stream, "--runner", "no-runner"), 2)
    missing = reconcile(stream, "--landing", str(stream.folder / "nowhere"))
    assert "nowhere" in refused(missing, 1)
