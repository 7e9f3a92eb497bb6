"""`isopach publish`: what waits, and what somebody publishes all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Result, isopach, refused
from small_night import DAY, assert_same, rows
from small_stream import STREAM, SmallStream, line

from isopach.feeds.spool import SpoolWriter
from isopach.jobs import approving, endings
from isopach.jobs.micro_batches import Options
from isopach.jobs.stream import run_stream
from isopach.lake import publish as publishing
from isopach.pipelines.spool import Spool

AT = f"{DAY}T16:00"


def publish(night: SmallStream, run: str, *more: str) -> Result:
    feed, lake = night.folder / "visits.yaml", night.lake.uri
    return isopach("publish", feed, "--lake", lake, "--run", run, *more)


@pytest.fixture
def night(tmp_path: Path) -> SmallStream:
    """One site declares more rows than it sent, one is fine, one sent nothing usable."""
    night = SmallStream.at(tmp_path)
    night.deliver("nyc", rows("nyc", 3), rows=5)
    night.deliver("pago", rows("pago", 2))
    night.deliver("kathmandu", b"", file="x.unknown", rows=0)
    return night


def test_what_waits_is_shown_and_approved_by_somebody(night: SmallStream) -> None:
    run = night.run().run
    shown = publish(night, run)
    assert shown.code == 3
    assert "nyc: declared 5 rows, read 3 (-2)" in shown.out
    assert "nothing of it was staged" in shown.out
    assert "--approve" in shown.out
    assert night.table("records").height == 2
    done = publish(night, run, "--approve", "--json")
    assert done.code == 3, "what has no delivery still waits"
    assert [w["site"] for w in done.document["published"]] == ["nyc"]
    assert {w["site"] for w in done.document["waiting"]} == {"kathmandu", "kiritimati"}
    assert night.states()["nyc", DAY] == "settled"
    assert night.table("records")["site"].to_list().count("nyc") == 3
    (counted,) = night.table("counts").filter(site="nyc").to_dicts()
    who = night.table("runs").filter(cadence="publish").to_dicts()[0]
    assert counted["reason"].startswith(f"approved by {who['who']} in run {who['run']}: declared 5")
    assert json.loads(who["parameters"])["approves"] == run
    assert who["outcome"] == "published"
    assert night.findings() == []
    again = publish(night, run, "--approve")
    assert "published" not in again.out
    assert night.table("runs").filter(cadence="publish").height == 1


def test_approved_night_is_as_one_that_was_never_held(night: SmallStream) -> None:
    run = night.run(only=frozenset({"nyc", "pago"})).run
    assert publish(night, run, "--approve").code == 0
    assert not (Path(night.lake.path) / "visits/_staging" / run).exists()
    right = SmallStream(night.folder / "right", night.declaration)
    right.deliver("nyc", rows("nyc", 3))
    right.deliver("pago", rows("pago", 2))
    right.run(only=frozenset({"nyc", "pago"}))
    without = {"counts", "windows"}
    first, second = night.content(), right.content()
    assert_same(*({n: t for n, t in c.items() if n not in without} for c in (first, second)))


def test_what_could_not_be_read_is_not_published_as_nothing(tmp_path: Path) -> None:
    night = SmallStream.at(tmp_path)
    night.deliver("nyc", b"PAR1", file="visits.parquet", rows=4)
    run = night.run(only=frozenset({"nyc"})).run
    done = publish(night, run, "--approve")
    assert done.code == 3
    assert "its files cannot be read: have them delivered again" in done.out
    assert night.states() == {("nyc", DAY): "held"}


def test_only_sites_that_are_named(night: SmallStream) -> None:
    night.deliver("pago", rows("pago", 2), rows=9)
    run = night.run(only=frozenset({"nyc", "pago"})).run
    assert publish(night, run, "--approve", "--site", "pago").code == 0
    assert night.states() == {("nyc", DAY): "held", ("pago", DAY): "settled"}
    assert publish(night, run, "--approve").code == 0
    assert set(night.states().values()) == {"settled"}
    assert night.findings() == []


def test_window_that_a_later_run_has_settled_is_left_alone(night: SmallStream) -> None:
    old = night.run(only=frozenset({"nyc", "pago"})).run
    night.deliver("nyc", rows("nyc", 4), name="d2", at="2026-03-09T03:00:00Z")
    night.run(only=frozenset({"nyc"}))
    assert f"'{old}' holds no window of visits" in refused(publish(night, old, "--approve"), 2)
    assert night.table("records")["site"].to_list().count("nyc") == 4


def test_window_that_rested_on_an_earlier_run_is_replaced(night: SmallStream) -> None:
    bad = {"id": None}
    night.deliver("nyc", [*rows("nyc", 4), rows("nyc", 1)[0] | bad])
    night.run(only=frozenset({"nyc"}))
    night.deliver("nyc", [*rows("nyc", 2), bad], name="d2", rows=7, at="2026-03-09T03:00:00Z")
    run = night.run(only=frozenset({"nyc"})).run
    assert night.table("records").height == 4
    assert publish(night, run, "--approve").code == 0
    assert night.table("records").height == 2
    assert night.table("quarantine")["_run"].to_list() == [run]
    assert night.findings() == []


@pytest.mark.parametrize("stop", ["close", "compared", "verdicts", "mark", "commit", "finish"])
def test_killed_approval_ends_as_one_that_was_not(
    night: SmallStream, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    run = night.run(only=frozenset({"nyc", "pago"})).run
    finished = {"mark", "commit", "finish"}  # its verdicts were there: whoever comes publishes them
    at: dict[str, tuple[Any, str]] = {
        "close": (approving, "close_to_streams"),
        "compared": (approving, "reconcile"),
        "verdicts": (approving, "write_verdicts"),
        "mark": (publishing, "mark_settling"),
        "commit": (publishing, "replace_rows"),
        "finish": (approving, "finish"),
    }

    class KilledError(BaseException):
        pass

    def after(step: Callable[..., Any]) -> Callable[..., Any]:
        def killed(*given: Any, **named: Any) -> Any:
            step(*given, **named)
            raise KilledError

        return killed

    with monkeypatch.context() as patched:
        module, name = at[stop]
        patched.setattr(module, name, after(getattr(module, name)))
        patched.setattr(approving, "reopen", lambda *_: None)  # nobody is there to tidy up
        patched.setattr(approving, "give_up", lambda *_: None)
        with pytest.raises(KilledError):
            publish(night, run, "--approve")
    monkeypatch.setattr(endings.Run, "killed", property(lambda _: True))
    if publish(night, run, "--approve").code == 2:  # the next command had finished it already
        assert stop in finished
    assert set(night.states().values()) == {"settled"}
    assert night.findings() == []
    assert not (Path(night.lake.path) / "visits/_staging" / run).exists() or stop in finished


@pytest.mark.parametrize("policy", [{"breach": "hold"}, {"stream_only": "hold", "max_extra": 9}])
def test_what_differs_waits_where_the_feed_says_so(tmp_path: Path, policy: dict[str, Any]) -> None:
    night = SmallStream.at(tmp_path)
    declared = night.declared(lateness=STREAM["lateness"], reconcile=policy)
    night = SmallStream(tmp_path, declared.declaration)
    with SpoolWriter(tmp_path / "spool", "visits", "0") as writer:
        writer.append([line("nyc", "both", AT), line("nyc", "extra", AT)])
    log = Spool(tmp_path / "spool", "visits")
    run_stream(night.declaration, log, night.lake, Options(until_idle=True), {})
    night.deliver("nyc", [json.loads(line("nyc", "both", AT))])
    held = night.run(only=frozenset({"nyc"}))
    assert len(held.held) == 1
    assert night.table("records").height == 2, "the stream's rows stay"
    assert publish(night, held.run, "--approve").code == 0
    assert night.table("records")["id"].to_list() == ["both"]
    assert night.table("differences")["cause"].to_list() == ["not_in_delivery"]
    assert night.findings() == []


def test_bad_run_is_refused(night: SmallStream) -> None:
    run = night.run().run
    assert run in refused(publish(night, "nope"), 2)
    empty = SmallStream(night.folder / "empty", night.declaration)
    said = isopach("publish", night.folder / "visits.yaml", "--lake", empty.lake.uri, "--run", run)
    assert "runs that do: none" in refused(said, 2)
