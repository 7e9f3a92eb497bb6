"""Replayed rows end up as if today's rules had been there from the start, each at most once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from disturbed import DiedError, before_commit, die, numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from small_night import DAY, EXAMPLES, NOON, row
from small_replay import Mended
from small_stream import assert_same_streams, line

from isopach.feeds.spool import SpoolWriter
from isopach.jobs.micro_batches import Options
from isopach.jobs.queries import window_counts
from isopach.jobs.replaying import DRY, NOTHING, REPLAYED
from isopach.jobs.stream import run_stream
from isopach.pipelines import replay as module
from isopach.pipelines.spool import Spool

SOURCE = "spool/0"
DELIVERED = frozenset({"nyc", "kathmandu"})
KINDS: dict[str, dict[str, Any]] = {
    "good": {"note": "n"},
    "no note": {},
    "extra": {"note": "n", "till": 3},
    "local": {"note": "n", "at": f"{DAY}T12:34:56"},
    "malformed": {"note": "n", "minutes": "x"},
}
"""Rows that both rules accept, that today's accept, and that none does."""


def sent(site: str, kinds: list[str]) -> list[dict[str, Any]]:
    return [row(site, f"{site}-{n}", minutes=n % 3) | KINDS[kind] for n, kind in enumerate(kinds)]


def events(kinds: list[tuple[str, str]]) -> list[str]:
    """Return lines of sites, one of which is not registered at first, and one that is no JSON."""
    rows = [
        {**row("nyc", f"e{n}", minutes=n % 3), "clinic": site, "at": at_noon(site)} | KINDS[kind]
        for n, (site, kind) in enumerate(kinds)
    ]
    return ["{", *map(json.dumps, rows)]


def at_noon(site: str) -> str:
    return f"{DAY}T{NOON.get(site, '17:00')}:00Z"


def fill(lake: Mended, delivered: dict[str, list[str]], lines: list[str]) -> None:
    """Run a night over deliveries, and land lines."""
    for site, kinds in delivered.items():
        lake.deliver(site, sent(site, kinds))
    lake.run(only=DELIVERED)
    lake.land(SOURCE, lines)


kinds_of = st.lists(st.sampled_from([*KINDS]), min_size=1, max_size=6)
events_of = st.tuples(
    st.sampled_from(["pago", "kiritimati", "lima"]), st.sampled_from([*KINDS])
).filter(lambda one: one != ("lima", "malformed"))
"""What stays set aside keeps the window that was known of it, which of Lima's was none."""
choices = st.fixed_dictionaries(
    {},
    optional={
        "day": st.just(DAY),
        "sites": st.sampled_from([("nyc",), ("pago", "kathmandu"), ("lima",)]),
        "reason": st.sampled_from(["missing", "malformed", "extra_column"]),
    },
)


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(
    delivered=st.fixed_dictionaries({"nyc": kinds_of, "kathmandu": kinds_of}),
    streamed=st.lists(events_of, max_size=8),
    replays=st.lists(st.tuples(choices, st.integers(0, 8)), max_size=4),
)
def test_a_lake_ends_as_if_the_rules_had_been_todays_from_the_start(
    tmp_path_factory: pytest.TempPathFactory,
    delivered: dict[str, list[str]],
    streamed: list[tuple[str, str]],
    replays: list[tuple[dict[str, Any], int]],
) -> None:
    lines = events(streamed)
    old = Mended.begun(tmp_path_factory.mktemp("old"))
    fill(old, delivered, lines)
    lake = old.mended()
    for choice, fatal in replays:
        with before_commit(fatal, die), suppress(DiedError):
            lake.replay(**choice)
    lake.replay()
    assert lake.findings() == []
    versions = lake.versions()
    assert lake.replay().outcome == NOTHING
    assert lake.versions() == versions
    other = Mended.begun(tmp_path_factory.mktemp("new")).mended()
    fill(other, delivered, lines)
    assert_same_streams(other.told(), lake.told())


MOST = {"nyc": ["good", "no note", "extra", "local", "malformed"], "kathmandu": ["extra", "good"]}
EVENTS = events(
    [
        ("pago", "good"),
        ("pago", "no note"),
        ("lima", "extra"),
        ("lima", "local"),
        ("kiritimati", "extra"),
        ("pago", "malformed"),
        ("kiritimati", "local"),
    ]
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Mended:
    """A lake with two settled windows and a stream, by the old rules, to be copied."""
    lake = Mended.begun(tmp_path_factory.mktemp("whole"))
    fill(lake, MOST, EVENTS)
    with SpoolWriter(lake.folder / "spool", "visits", "0") as writer:
        writer.append([])
    assert lake.findings() == []
    return lake


@pytest.fixture(scope="module")
def undisturbed(whole: Mended, tmp_path_factory: pytest.TempPathFactory) -> Mended:
    lake = copied(whole, tmp_path_factory.mktemp("undisturbed") / "lake")
    lake.replay()
    assert lake.findings() == []
    return lake


def copied(lake: Mended, folder: Path) -> Mended:
    """Return a copy of a lake with all beside it, by the new rules."""
    shutil.copytree(lake.folder, folder)
    return Mended(folder, lake.declaration).mended()


@pytest.fixture
def lake(whole: Mended, tmp_path: Path) -> Mended:
    return copied(whole, tmp_path / "copy")


def aside(lake: Mended) -> pl.DataFrame:
    """Return the rows that are still set aside."""
    return lake.table("quarantine").filter(pl.col("replayed_run").is_null())


def test_what_became_of_all_rows_is_told(lake: Mended) -> None:
    before = lake.versions()
    dry = lake.replay(dry=True)
    assert (dry.outcome, dry.run, lake.versions()) == (DRY, None, before)
    found = lake.replay()
    assert found.outcome == REPLAYED
    assert (found.candidates, found.accepted, found.duplicate, found.left) == (12, 9, 0, [])
    assert found.rejected == {"malformed": 2, "not_json": 1}
    assert (dry.candidates, dry.accepted, dry.rejected) == (
        found.candidates,
        found.accepted,
        found.rejected,
    )
    marked = lake.table("quarantine").drop_nulls("replayed_run")
    assert set(marked["replayed_run"]) == {found.run}
    assert lake.table("records").filter(_run=found.run).height == marked.height == found.accepted
    (run,) = lake.table("runs").filter(cadence="replay").iter_rows(named=True)
    assert (run["run"], run["mode"], run["outcome"]) == (found.run, "batch", "replayed")
    assert [p.name for p in (lake.folder / "lake/visits/_staging").iterdir()] == ["landings"]


def test_rows_keep_where_they_are_from(lake: Mended) -> None:
    where = ["_mode", "_source", "_position"]
    before = lake.table("quarantine").select(where)
    run = lake.replay().run
    after = lake.table("records").filter(_run=run).select(where)
    assert after.join(before, on=where, how="anti").is_empty()
    assert {*after["_mode"]} == {"batch", "stream"}


def test_choices_leave_the_other_rows(lake: Mended) -> None:
    assert lake.replay(sites=("nyc",), reason="missing").accepted == 1
    assert lake.findings() == []
    assert lake.replay(day=DAY, reason="extra_column").accepted == 3
    assert lake.findings() == []
    assert lake.replay(reason="nothing").outcome == NOTHING
    assert lake.replay().accepted == 5


def test_in_chunks_it_is_the_same(
    lake: Mended, undisturbed: Mended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 2)
    monkeypatch.setattr(module, "BATCH_ROWS", 1)
    lake.replay()
    assert lake.findings() == []
    assert_same_streams(undisturbed.told(), lake.told())


def test_a_key_that_is_there_stays_set_aside(tmp_path: Path) -> None:
    lake = Mended.begun(tmp_path)
    again = [row("nyc", id, note=note) for id, note in [("a", "n"), ("a", None), ("b", None)]]
    lake.deliver("nyc", [*again, row("nyc", "b", minutes=5)])
    lake.run(only=frozenset({"nyc"}))
    lake.land(SOURCE, [line("pago", "a", f"{DAY}T23:00"), line("pago", "a", f"{DAY}T23:00")])
    found = lake.mended().replay()
    assert (found.accepted, found.duplicate) == (2, 3)
    lake = lake.mended()
    assert lake.findings() == []
    records = lake.table("records").sort("site", "id")
    assert records.select("site", "id", "_position").rows() == [
        ("nyc", "a", 0), ("nyc", "b", 2), ("pago", "a", 0)
    ]  # fmt: skip
    assert aside(lake)["_position"].sort().to_list() == [1, 1, 3]
    assert lake.replay().outcome == NOTHING


def test_rows_of_other_windows_than_their_delivery_stay(tmp_path: Path) -> None:
    lake = Mended.begun(tmp_path)
    odd = {
        "tomorrow": row("nyc", "t", at="2026-03-09T16:00:00Z"),
        "yesterday": row("nyc", "y", at="2026-03-07T16:00:00Z"),
        "elsewhere": row("pago", "p"),
    }
    lake.deliver("nyc", [row("nyc", "a", note="n"), *odd.values()])
    lake.run(only=frozenset({"nyc"}))
    found = lake.mended().replay()
    assert (found.accepted, found.outcome) == (0, NOTHING)
    assert found.rejected == {
        "outside_window": 1, "earlier_business_date": 1, "other_site": 1
    }  # fmt: skip


def test_late_rows_duplicates_and_unreadable_files_are_not_replayed(tmp_path: Path) -> None:
    lake = Mended.begun(tmp_path)
    good = [row("nyc", "a", note="n"), row("nyc", "a", note="n")]
    late = row("nyc", "l", note="n", at="2026-03-07T16:00:00Z")
    lake.deliver("nyc", [*good, late])
    lake.deliver("kathmandu", b"PAR1 not", file="visits.parquet", rows=1)
    lake.run(only=DELIVERED)
    assert lake.table("quarantine").height == 3
    assert lake.mended().replay().candidates == 0


def test_rows_of_days_to_come_wait_for_them(tmp_path: Path) -> None:
    lake = Mended.begun(tmp_path)
    lake.land(SOURCE, [line("nyc", "a", "2126-03-08T16:00", note="n")])
    found = lake.mended().replay()
    assert found.rejected == {"outside_window": 1}


def test_what_was_no_text_is_not_taken_for_text(tmp_path: Path) -> None:
    """A likeness of bytes stands in quarantine, which as text would fit."""
    lake = Mended.begun(tmp_path).mended()
    rows = [row("nyc", "a") | {"at": None}]
    table = pa.Table.from_pylist([{**one, "note": b"secret"} for one in rows])
    at = pa.array([1772985600000000], pa.timestamp("us", "UTC"))
    table = table.set_column(table.schema.get_field_index("at"), "at", at)
    pq.write_table(table, tmp_path / "visits.parquet")
    data = (tmp_path / "visits.parquet").read_bytes()
    lake.deliver("nyc", data, file="visits.parquet", rows=1)
    lake.run(only=frozenset({"nyc"}))
    assert aside(lake)["reason"].to_list() == ["malformed"]
    assert lake.replay().rejected == {"malformed": 1}


# Windows that are not open to replays


def test_rows_of_a_held_night_wait_for_it(tmp_path: Path) -> None:
    lake = Mended.begun(tmp_path)
    lake.deliver("nyc", sent("nyc", MOST["nyc"]), rows=9)
    lake.run(only=frozenset({"nyc"}))
    lake = lake.mended()
    found = lake.replay()
    assert found.accepted == 0
    assert found.left == [
        {"site": "nyc", "business_date": f"{DAY}", "state": "held", "rows": 3}
    ]  # fmt: skip
    lake.deliver("nyc", sent("nyc", MOST["nyc"]), name="d2", at="2026-03-09T09:00:00Z")
    lake.run(only=frozenset({"nyc"}))
    assert lake.findings() == []
    assert lake.replay().candidates == 1


def test_a_settled_window_is_replayed_though_a_later_night_of_it_is_held(tmp_path: Path) -> None:
    lake = Mended.begun(tmp_path)
    lake.deliver("nyc", sent("nyc", MOST["nyc"]))
    lake.run(only=frozenset({"nyc"}))
    later: dict[str, Any] = {"name": "d2", "at": "2026-03-09T09:00:00Z"}
    lake.deliver("nyc", sent("nyc", MOST["nyc"]), rows=9, **later)
    lake.run(only=frozenset({"nyc"}))
    lake = lake.mended()
    found = lake.replay()
    assert (found.accepted, found.left[0]["rows"]) == (3, 3)
    assert lake.findings() == []
    assert lake.table("windows")["rows"].to_list() == [4]


def test_a_streams_rows_are_left_where_a_night_has_settled(lake: Mended) -> None:
    lake.deliver("pago", sent("pago", ["good"]))
    lake.run(only=frozenset({"pago"}))
    found = lake.replay(sites=("pago",))
    assert (found.accepted, found.left[0]["state"], found.left[0]["rows"]) == (0, "settled", 1)
    assert lake.findings() == []


def test_a_night_that_reads_the_rows_again_takes_the_place_of_their_replay(lake: Mended) -> None:
    lake.replay()
    lake.run(only=DELIVERED)
    assert lake.findings() == []
    batch = lake.table("records").filter(_mode="batch")
    assert batch.select("site", "id").is_unique().all()
    assert batch.group_by("site").len().sort("site").rows() == [("kathmandu", 2), ("nyc", 4)]
    shown = window_counts(lake.lake, "visits", DAY, ["nyc"])
    figures = ["read", "accepted", "rejected", "late", "duplicate"]
    assert shown.select(figures).rows() == [(5, 4, 1, 0, 0)]
    assert lake.replay().accepted == 0


def test_a_night_settles_what_was_replayed_of_a_stream(lake: Mended) -> None:
    lake.replay()
    lake.deliver("pago", sent("pago", ["good", "no note"]))
    lake.deliver("lima", sent_at_lima())
    lake.run(only=frozenset({"pago", "lima"}))
    assert lake.findings() == []
    assert {*lake.table("records").filter(site="lima")["_mode"]} == {"batch"}


def sent_at_lima() -> list[dict[str, Any]]:
    return [row("nyc", "x", note="n") | {"clinic": "lima"}]


# Streams beside


def test_a_committer_that_lives_on_knows_what_was_replayed(lake: Mended) -> None:
    lander = lake.lander("live")
    lander.learn()
    lake.replay()
    again = [line("pago", "e1", f"{DAY}T23:00"), line("lima", "e2", f"{DAY}T17:00")]
    both = [*EVENTS, *again, line("pago", "new", f"{DAY}T23:00")]
    lander.land([lake.interval(SOURCE, both, len(EVENTS), len(both))])
    lander.flush()
    assert lake.findings() == []
    late = aside(lake).filter(_run="live")
    assert late.select("disposition", "key").rows() == [("duplicate", "e1"), ("duplicate", "e2")]
    assert lake.table("records").filter(id="new").height == 1


@pytest.mark.slow
def test_a_landing_comes_between_at_any_commit(whole: Mended, tmp_path: Path) -> None:
    again = [line("pago", f"e{n}", f"{DAY}T23:00") for n in (0, 1, 8)]
    both = [*EVENTS, *again]
    for number in numbers(1):
        lake = copied(whole, tmp_path / f"{number}")
        lander = lake.lander("live")
        lander.learn()

        def land(lake: Mended = lake, lander: Any = lander) -> None:
            lander.land([lake.interval(SOURCE, both, len(EVENTS), len(both))])
            lander.flush()

        with before_commit(number, land) as commits:
            lake.replay()
        if not commits.happened:
            break
        assert lake.findings() == []
        records = lake.table("records")
        assert records.select("site", "id").is_unique().all()
        assert records.filter(site="pago", _mode="stream").height == 3
    assert number > 7


@pytest.mark.slow
@pytest.mark.parametrize("mended", [True, False])
def test_a_night_comes_between_at_any_commit(whole: Mended, tmp_path: Path, mended: bool) -> None:
    for number in numbers(1 + mended):
        lake = copied(whole, tmp_path / f"{number}")
        night = lake if mended else Mended(lake.folder, whole.declaration)
        lake.deliver("pago", sent("pago", ["good", "no note"]))

        def run(night: Mended = night) -> None:
            night.run(only=DELIVERED | {"pago"})

        with before_commit(number, run) as commits:
            lake.replay()
        if not commits.happened:
            break
        assert lake.findings() == []
        assert lake.table("records").select("site", "id").is_unique().all()
        lake.replay()
        assert lake.findings() == []
        left = aside(lake).filter(pl.col("site").is_in(["nyc", "kathmandu"]))
        assert left["reason"].to_list() == ["malformed"]
    assert number > 7


@pytest.mark.slow
def test_a_replay_comes_between_at_any_commit_of_a_night(whole: Mended, tmp_path: Path) -> None:
    for number in numbers(3):
        lake = copied(whole, tmp_path / f"{number}")
        lake.deliver("pago", sent("pago", ["good", "no note"]))
        with before_commit(number, lambda lake=lake: lake.replay()) as commits:  # type: ignore[misc]
            lake.run(only=frozenset({"pago", "nyc"}))
        if not commits.happened:
            break
        assert lake.findings() == []
        lake.replay()
        assert lake.findings() == []
        assert lake.table("records").select("site", "id").is_unique().all()
    assert number > 8


# Replays that do not end


def next_replay(lake: Mended) -> None:
    lake.replay()


def next_night(lake: Mended) -> None:
    lake.run(only=DELIVERED)
    lake.replay()


def next_stream(lake: Mended) -> None:
    log = Spool(lake.folder / "spool", "visits")
    run_stream(lake.declaration, log, lake.lake, Options(until_idle=True), {})
    assert lake.findings() == []
    lake.replay()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "following"), [(1, next_replay), (2, next_night), (3, next_stream)]
)
def test_dies_before_any_commit_and_is_finished_by_the_next_run(
    whole: Mended,
    undisturbed: Mended,
    tmp_path: Path,
    first: int,
    following: Callable[[Mended], None],
) -> None:
    for number in numbers(first):
        lake = copied(whole, tmp_path / f"{number}")
        with before_commit(number, die) as commits, suppress(DiedError):
            lake.replay()
        if not commits.happened:
            break
        if any(part.suffix == ".parquet" for part in staged(lake)) and number > 2:
            assert any("is replaying rows" in found.message for found in lake.findings())
        following(lake)
        assert lake.findings() == []
        assert_same_streams(undisturbed.told(), lake.told())
        assert list(staged(lake)) == []
    assert number > 7


def staged(lake: Mended) -> list[Path]:
    return [*(lake.folder / "lake/visits/_staging").glob("*/part-*")]


# What verification finds


@pytest.mark.parametrize("site", ["nyc", "pago", "lima"])
def test_a_replayed_row_that_is_gone_is_named(lake: Mended, site: str) -> None:
    run = lake.replay().run
    gone = lake.table("records").filter(_run=run, site=site).row(0, named=True)
    records = DeltaTable(f"{lake.lake.path}/visits/records")
    assert records.delete(f"site = '{site}' and id = '{gone['id']}'")["num_deleted_rows"] == 1
    named = [found.message for found in lake.findings() if found.check == "replayed"]
    assert named == [
        f"{gone['_source']} position {gone['_position']} was replayed by run {run}, "
        "and is not in records"
    ]


@pytest.mark.parametrize("site", ["nyc", "pago"])
def test_a_row_that_is_said_to_be_replayed_and_was_not_is_named(lake: Mended, site: str) -> None:
    lake.replay()
    one = aside(lake).filter(site=site).row(0, named=True)
    table = DeltaTable(f"{lake.lake.path}/visits/quarantine")
    where = f"_source = '{one['_source']}' and _position = {one['_position']}"
    table.update(predicate=where, new_values={"replayed_run": "r"})
    findings = lake.findings()
    assert "was replayed by run r" in " ".join(found.message for found in findings)
    assert {"replayed", "positions"} <= {found.check for found in findings}


def test_a_record_of_a_replay_whose_counts_are_gone_is_found(lake: Mended) -> None:
    run = lake.replay().run
    DeltaTable(f"{lake.lake.path}/ledger/counts").delete(f"run = '{run}'")
    assert {"records", "quarantine", "stream"} <= {found.check for found in lake.findings()}


# Lakes of before


def test_a_lake_without_the_new_column_of_counts(lake: Mended, undisturbed: Mended) -> None:
    folder = lake.folder / "lake/ledger/counts"
    counts = lake.table("counts").drop("replay_of")
    shutil.rmtree(folder)
    landed = CommitProperties(app_transactions=[Transaction("isopach/landing/visits", 1)])
    write_deltalake(folder, counts, partition_by=["business_date"], commit_properties=landed)
    assert lake.findings() == []
    assert window_counts(lake.lake, "visits", None, None).height == 4
    lake.replay()
    assert lake.findings() == []
    assert_same_streams(undisturbed.told(), lake.told())


def test_originals_come_back_as_they_were(tmp_path: Path) -> None:
    """CSV and Parquet are set aside as JSON: what is replayed has the values that were sent."""
    values = {"id": 'ü"\\\n', "clinic": "nyc", "minutes": -7, "fee": "-1234567.80"}
    header, cells = list(values), ['"ü""\\\n"', "nyc", "-7", "-1234567.80"]
    text = ",".join([*header, "at"]) + "\n" + ",".join([*cells, f"{DAY}T16:00:00.123456Z"]) + "\n"
    at = pa.array([1772985600123456], pa.timestamp("us", "UTC"))
    fee = pa.array(["-1234567.80"]).cast(pa.decimal128(12, 2))
    table = pa.table({"id": ["p"], "clinic": ["nyc"], "minutes": [-7], "fee": fee, "at": at})
    pq.write_table(table, tmp_path / "p.parquet")
    lake = Mended.begun(tmp_path)
    lake.deliver("nyc", text.encode(), file="visits.csv", rows=1)
    lake.run(only=frozenset({"nyc"}))
    assert lake.mended().replay().accepted == 1
    found = lake.table("records").row(0, named=True)
    assert {name: str(found[name]) for name in values} == {n: str(v) for n, v in values.items()}
    data = (tmp_path / "p.parquet").read_bytes()
    later: dict[str, Any] = {"name": "d2", "at": "2026-03-09T09:00:00Z"}
    lake.deliver("nyc", data, file="visits.parquet", rows=1, **later)
    lake.run(only=frozenset({"nyc"}))
    assert lake.mended().replay().accepted == 1
    again = lake.table("records").row(0, named=True)
    assert {again[n] == found[n] for n in ("clinic", "minutes", "fee", "at")} == {True}
    assert aside(lake).is_empty()
