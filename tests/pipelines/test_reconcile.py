"""What a night says of its stream: which records differ, and why."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from small_night import DAY, EXAMPLES, declare
from small_stream import STREAM, SmallStream, line

from isopach.feeds.load import load_declaration
from isopach.feeds.produce import produce
from isopach.feeds.sales import write_night
from isopach.feeds.sales_events import Plan
from isopach.feeds.spool import SpoolWriter
from isopach.feeds.targets import SpoolTarget
from isopach.jobs import nightly, reconciling
from isopach.jobs.delivered import Deliveries
from isopach.jobs.micro_batches import Options
from isopach.jobs.nightly import feed_tables, run_night
from isopach.jobs.progress import Progress
from isopach.jobs.stream import run_stream
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.lake.replace import replace_rows
from isopach.pipelines.spool import Spool
from isopach.pipelines.verify import verify

AT = f"{DAY}T16:00"
NYC = frozenset({"nyc"})
ROWS = int(os.environ.get("ISOPACH_SALES", "20000"))


@pytest.fixture
def stream(tmp_path: Path) -> SmallStream:
    return SmallStream.at(tmp_path)


def declared(stream: SmallStream, **reconcile: Any) -> SmallStream:
    """Return the feed with other tolerances."""
    changed = {**STREAM, "reconcile": reconcile}
    return SmallStream(stream.folder, declare(stream.folder, changed))


def stream_of(stream: SmallStream, lines: Iterable[str | bytes]) -> None:
    """Send events and land them."""
    with SpoolWriter(stream.folder / "spool", "visits", "0") as writer:
        writer.append(list(lines))
    log = Spool(stream.folder / "spool", "visits")
    feed = json.loads(stream.declaration.feed.model_dump_json())
    run_stream(stream.declaration, log, stream.lake, Options(until_idle=True), {"feed": feed})


def event(id: str, **other: Any) -> str:
    return line("nyc", id, other.pop("at", AT), **other)


def delivered(*ids: str, **other: Any) -> list[dict[str, Any]]:
    return [json.loads(event(id, **other)) for id in ids]


def found(stream: SmallStream) -> dict[str, tuple[str, str]]:
    """Return kind and cause of each key that differs."""
    rows = stream.table("differences")
    return {key: (kind, cause) for key, kind, cause in rows.select("key", "kind", "cause").rows()}


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, dict[str, Any], Place]:
    """Stream a day of sales with known faults, then run its night."""
    folder = tmp_path_factory.mktemp("sales")
    declaration = load_declaration("sales")
    lake = Place.of(folder / "lake")
    sent = produce(SpoolTarget(folder / "spool"), [DAY], Plan(rows=ROWS, faults=True)).truth.faults
    log = Spool(folder / "spool", "sales")
    run_stream(declaration, log, lake, Options(until_idle=True), {})
    night = write_night(folder / "landing", DAY, rows=ROWS, faults=True).faults
    silent = Progress(Console(quiet=True))
    landing = Place.of(folder / "landing")
    summary = run_night(declaration, Deliveries(landing), lake, DAY, nightly.Options(), silent)
    proof = verify(lake, declaration.feed, feed_tables(declaration), None)
    assert proof.findings == []
    held = {one["site"] for one in summary.held}
    truth = {"sent": sent, "night": night, "held": held, "summary": summary}
    return scan(lake, tables.DIFFERENCES).collect(), truth, lake


def of_stream(sent: pl.DataFrame, held: set[str]) -> dict[str, str]:
    """Return why events that a stream should have, and does not, are not there."""
    causes = dict.fromkeys(
        ["lost_sku", "malformed", "cut_off", "bad_utf8", "unknown_store", "null_sku"],
        "rejected_in_stream",
    )
    causes |= dict.fromkeys(["html", "never_sent", "silent_from_noon"], "never_sent")
    rows = sent.filter(pl.col("kind").is_in(list(causes)), ~pl.col("site").is_in(list(held)))
    rows = rows.filter(business_date=DAY)
    return {id: causes[kind] for id, kind in rows.select("event_id", "kind").rows()}


def of_night(night: pl.DataFrame, held: set[str]) -> set[str]:
    """Return events that a delivery has and a night does not accept."""
    kinds = ["null_sku", "malformed", "unknown_store", "not_json"]
    rows = night.filter(pl.col("kind").is_in(kinds), ~pl.col("site").is_in(list(held)))
    return set(rows["event_id"].drop_nulls())


def test_every_fault_is_found_with_its_cause_and_nothing_else(
    sales: tuple[pl.DataFrame, dict[str, Any], Place],
) -> None:
    differences, truth, _ = sales
    stream = of_stream(truth["sent"], truth["held"])
    night = of_night(truth["night"], truth["held"])
    missing = differences.filter(kind="missing").select("key", "cause").rows()
    assert dict(missing) == {id: cause for id, cause in stream.items() if id not in night}
    extra = dict(differences.filter(kind="extra").select("key", "cause").rows())
    bad = night - stream.keys()
    assert {key: extra.pop(key) for key in bad} == dict.fromkeys(bad, "rejected_in_batch")
    not_json = truth["night"].filter(kind="not_json").height  # every other one an HTML page
    assert Counter(extra.values()) == {
        "rejected_in_batch": (not_json + 1) // 2, "not_in_delivery": not_json // 2
    }  # fmt: skip
    extra_rows = len(bad) + not_json
    assert differences.height == len(missing) + extra_rows
    assert differences["key"].n_unique() == differences.height
    assert truth["summary"].causes == dict(
        differences.group_by("cause").len().sort("len", descending=True).rows()
    )


def test_what_was_looked_up_is_said_and_sensitive_values_are_not(
    sales: tuple[pl.DataFrame, dict[str, Any], Place],
) -> None:
    differences, truth, _ = sales
    lost = truth["sent"].filter(kind="lost_sku").row(0, named=True)
    one = differences.filter(key=lost["event_id"]).row(0, named=True)
    place = f"spool/{lost['partition']} position {lost['position']}"
    assert one["evidence"] == f"the stream set it aside as rejected, missing in sku: {place}"
    assert one["stream"] is None
    values = [json.loads(text) for text in differences["batch"].drop_nulls()]
    assert {value["customer"] for value in values} == {None, "•••"}
    assert differences["evidence"].null_count() == 0


def test_each_cause(stream: SmallStream) -> None:
    stream_of(
        stream,
        [
            event("same-0000"),
            event("changed-0", minutes=5),
            event("extra-0000"),
            event("batch-bad0"),
            event("batch-cut0"),
            event("rejected-0", minutes="many"),
            event("cut-off-00")[:40],
            event("other-day0", at="2026-03-11T16:00"),  # closes DAY
            event("late-00000"),
        ],
    )
    rows = delivered(
        "same-0000", "changed-0", "rejected-0", "cut-off-00", "late-00000", "never-0000"
    )
    bad = {**delivered("batch-bad0")[0], "minutes": "many"}
    good = "".join(json.dumps(row) + "\n" for row in [*rows, bad])
    stream.deliver("nyc", (good + event("batch-cut0")[:40] + "\n").encode())
    summary = stream.run(only=NYC)
    assert found(stream) == {
        "changed-0": ("changed", "value_changed"),
        "extra-0000": ("extra", "not_in_delivery"),
        "batch-bad0": ("extra", "rejected_in_batch"),
        "batch-cut0": ("extra", "rejected_in_batch"),
        "rejected-0": ("missing", "rejected_in_stream"),
        "cut-off-00": ("missing", "rejected_in_stream"),
        "late-00000": ("missing", "late"),
        "never-0000": ("missing", "never_sent"),
    }
    assert (summary.compared, summary.differing) == (1, 1)
    changed = stream.table("differences").filter(kind="changed").row(0, named=True)
    assert changed["columns"] == "minutes"
    assert (changed["stream"], changed["batch"]) == ('{"minutes":5}', '{"minutes":10}')
    assert stream.findings() == []


def test_another_declaration_is_a_cause_of_its_own(stream: SmallStream) -> None:
    stream_of(stream, [event("a")])
    other = {**STREAM, "derive": {}, "columns": {**STREAM["columns"], "minutes": "int32"}}
    other["columns"]["more"] = "string"
    changed = SmallStream(stream.folder, declare(stream.folder, other))
    changed.deliver("nyc", delivered("a", more="x"))
    changed.run(only=NYC)
    assert found(changed) == {"a": ("changed", "schema")}


def test_a_record_that_was_landed_and_is_gone_is_lost(stream: SmallStream) -> None:
    stream_of(stream, [event("stays"), event("goes")])
    records = feed_tables(stream.declaration).records
    gone = pl.DataFrame({"business_date": [DAY], "id": ["goes"]})
    replace_rows(stream.lake, records, gone, [])
    stream.deliver("nyc", delivered("stays", "goes"))
    stream.deliver("pago", [json.loads(line("pago", "never", AT))])
    stream.run(only=frozenset({"nyc", "pago"}))
    assert found(stream) == {"goes": ("missing", "lost"), "never": ("missing", "never_sent")}
    (one,) = stream.table("differences").filter(key="goes").to_dicts()
    assert one["evidence"] == "visits/records has 1 accepted of a stream, ledger/counts 2"


def test_a_sensitive_key_is_masked(stream: SmallStream) -> None:
    columns = {**STREAM["columns"], "id": {"type": "string", "required": True, "sensitive": True}}
    secret = SmallStream(stream.folder, declare(stream.folder, {**STREAM, "columns": columns}))
    stream_of(secret, [event("seen-00000"), event("only-here0")])
    secret.deliver("nyc", delivered("seen-00000", "never-sent0"))
    secret.run(only=NYC)
    rows = secret.table("differences")
    assert set(rows["key"]) == {"•••"}
    assert sorted(rows["cause"]) == ["never_sent", "not_in_delivery"]
    assert "only-here0" not in str(rows.to_dicts())


def test_windows_that_agree_are_not_read(
    stream: SmallStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream_of(stream, [event("a"), event("b"), "{"])
    stream.deliver("nyc", delivered("b", "a"))
    monkeypatch.setattr(reconciling, "build", None)
    summary = stream.run(only=NYC)
    assert (summary.compared, summary.differing, summary.causes) == (1, 0, {})
    assert stream.states() == {("nyc", DAY): "settled"}


def test_nothing_is_compared_without_a_stream_or_again(stream: SmallStream) -> None:
    stream.deliver("nyc", delivered("a"))
    assert stream.run(only=NYC).compared == 0
    stream_of(stream, [event("b")])
    assert stream.run(only=NYC).compared == 0
    assert stream.table("differences").is_empty()


@pytest.mark.parametrize(
    ("tolerance", "held"),
    [
        ({}, None),
        ({"breach": "warn"}, None),
        ({"breach": "hold"}, "1 records missing, 0 allowed; 1 records extra, 0 allowed"),
        ({"breach": "hold", "max_missing": 1}, "1 records extra, 0 allowed"),
        ({"breach": "hold", "max_missing": 1, "max_extra": 1}, None),
    ],
)
def test_a_window_that_differs_by_more_than_allowed_is_held(
    stream: SmallStream, tolerance: dict[str, Any], held: str | None
) -> None:
    stream = declared(stream, **tolerance)
    stream_of(stream, [event("a"), event("b")])
    stream.deliver("nyc", delivered("a", "c"))
    summary = stream.run(only=NYC)
    assert stream.states() == {("nyc", DAY): "held" if held else "settled"}
    assert [one["reason"] for one in summary.held] == (
        [f"batch and stream differ: {held}"] if held else []
    )
    assert set(stream.table("records")["id"]) == ({"a", "b"} if held else {"a", "c"})
    assert set(found(stream)) == {"b", "c"}
    assert stream.findings() == []


def test_columns_that_are_not_compared(stream: SmallStream) -> None:
    stream = declared(stream, ignore=["minutes", "note"])
    stream_of(stream, [event("a", minutes=1), event("b", fee="2.00")])
    stream.deliver("nyc", delivered("a", "b"))
    stream.run(only=NYC)
    (one,) = stream.table("differences").to_dicts()
    assert (one["key"], one["columns"]) == ("b", "fee")


def test_a_night_that_fails_after_comparing_leaves_windows_as_they_were(
    stream: SmallStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream_of(stream, [event("a")])
    before = stream.content()
    stream.deliver("nyc", delivered("a", "b"))
    stream.deliver("pago", [json.loads(line("pago", "p", AT))])
    with monkeypatch.context() as patched:

        def fail(*_: object) -> None:
            raise RuntimeError("no space")

        patched.setattr(nightly, "judged", fail)
        with pytest.raises(RuntimeError, match="no space"):
            stream.run()
    assert stream.states() == {("nyc", DAY): "provisional"}
    after = stream.content()
    assert all(before[name].equals(after[name]) for name in ("records", "windows"))
    stream_of(stream, [event("c")])
    assert set(stream.table("records")["id"]) == {"a", "c"}
    stream.run(only=NYC)
    assert found(stream) == {"b": ("missing", "never_sent"), "c": ("extra", "not_in_delivery")}


def test_a_held_window_is_held_again_after_a_night_that_fails(
    stream: SmallStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream_of(stream, [event("a")])
    stream.deliver("nyc", delivered("a"), rows=9)
    stream.run(only=NYC)
    before = stream.content()
    stream.deliver("nyc", delivered("a"), name="d2", at="2026-03-09T09:00:00Z")
    with monkeypatch.context() as patched:
        patched.setattr(nightly, "judged", None)
        with pytest.raises(TypeError):
            stream.run(only=NYC)
    assert stream.states() == {("nyc", DAY): "held"}
    assert before["records"].equals(stream.content()["records"])


IDS = st.lists(st.integers(0, 30), max_size=30, unique=True)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(IDS, IDS, st.sampled_from([1, 5, 1000]))
def test_however_salted_the_same_differs(
    tmp_path_factory: pytest.TempPathFactory, sent: list[int], given: list[int], target: int
) -> None:
    folder = tmp_path_factory.mktemp("salted")
    changed = {**STREAM, "salting": {"target_rows": target}}
    stream = SmallStream(folder, declare(folder, changed))
    stream_of(stream, [*[event(f"{n}", minutes=n % 3) for n in sent], event("x", minutes="?")])
    rows = [json.loads(event(f"{n}", minutes=n % 3 + (n % 7 == 0))) for n in given]
    stream.deliver("nyc", [*rows, *delivered("always")])
    stream.run(only=NYC)
    kinds = {key: kind for key, (kind, _) in found(stream).items()}
    assert kinds == {
        **{f"{n}": "missing" for n in {*given} - {*sent}},
        **{f"{n}": "extra" for n in {*sent} - {*given}},
        **{f"{n}": "changed" for n in {*sent} & {*given} if n % 7 == 0},
        "always": "missing",
    }
    assert stream.findings() == []
