from __future__ import annotations

import shutil
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from small_night import DAY, FEED, ZONES, SmallNight, assert_same, declare, lines, row, rows

from isopach.feeds.load import Declaration
from isopach.feeds.sites import load_sites
from isopach.lake import publish
from isopach.lake.commits import SchemaChangeError
from isopach.lake.places import Place
from isopach.lake.tables import Table
from isopach.pipelines import waves
from isopach.pipelines.deliveries import LandingError

SITES = list(ZONES)


def deliver_all(night: SmallNight, count: int = 5, **other: Any) -> None:
    """Deliver good rows of all sites."""
    for site in SITES:
        night.deliver(site, rows(site, count), **other)


# Any plan gives the same tables


def deliver_mixed(night: SmallNight) -> None:
    """Deliver a heavy site and light ones, with every kind of row."""
    heavy = rows("nyc", 60)
    heavy += heavy[10:20]  # duplicates
    heavy += [row("nyc", f"bad-{n}", minutes="x") for n in range(5)]
    heavy += [row("nyc", f"late-{n}", at="2026-03-07T12:00:00Z") for n in range(3)]
    heavy += [row("nyc", f"early-{n}", at="2026-03-10T12:00:00Z") for n in range(3)]
    heavy += [row("kathmandu", "other"), row("nyc", "no-time", at=None)]
    heavy += heavy[:4]
    night.deliver("nyc", lines(heavy) + b"oops\n")
    night.deliver("kathmandu", rows("kathmandu", 9))
    night.deliver("kiritimati", rows("kiritimati", 7), rows=8)
    night.deliver("pago", b"PAR1", file="torn.parquet", rows=3)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A night of all kinds of rows, run in one wave without salts."""
    folder = tmp_path_factory.mktemp("mixed")
    night = SmallNight(folder, declare(folder))
    deliver_mixed(night)
    summary = night.run(memory=None)
    assert (summary.read, summary.accepted, summary.duplicate, summary.late) == (104, 76, 14, 3)
    assert [item["site"] for item in summary.held] == ["kiritimati", "pago"]
    assert summary.waves == 1
    return night


def copied(night: SmallNight, folder: Path) -> SmallNight:
    """Return the same deliveries beside an empty lake."""
    shutil.copytree(night.folder / "landing", folder / "landing")
    return SmallNight(folder, night.declaration)


@pytest.mark.slow
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 120), st.just(None))
@example(1, None)
@example(25, 1)
@example(60, 10_000)
def test_any_salting_and_any_waves_give_the_same_tables(
    mixed: SmallNight,
    tmp_path_factory: pytest.TempPathFactory,
    target_rows: int,
    memory: int | None,
) -> None:
    night = copied(mixed, tmp_path_factory.mktemp("salted"))
    salting = mixed.declaration.feed.salting.model_copy(update={"target_rows": target_rows})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waves, "PROCESS_BYTES", 0)
        summary = night.run(feed={"salting": salting}, memory=memory)
    assert (summary.waves > 1) == (memory is not None)
    assert_same(mixed.content(), night.content())
    assert night.findings() == []


def test_a_heavy_site_is_spread_over_waves(mixed: SmallNight, tmp_path: Path) -> None:
    night = copied(mixed, tmp_path)
    salting = mixed.declaration.feed.salting.model_copy(update={"target_rows": 30})
    summary = night.run(feed={"salting": salting}, memory=1)
    assert summary.waves == 4  # three salts of the heavy site, and one bin of the others
    assert_same(mixed.content(), night.content())


def test_a_night_in_parts_equals_the_whole(mixed: SmallNight, tmp_path: Path) -> None:
    night = copied(mixed, tmp_path)
    night.run(only=frozenset({"pago", "kathmandu"}))
    assert set(night.states()) == {("pago", DAY), ("kathmandu", DAY)}
    night.run(only=frozenset({"kiritimati", "nyc"}))
    assert_same(mixed.content(), night.content())


# Running again


def test_running_again_changes_nothing(mixed: SmallNight) -> None:
    before = mixed.content()
    first = mixed.table("records")["_run"].unique().to_list()
    summary = mixed.run()
    assert_same(before, mixed.content())
    assert mixed.table("records")["_run"].unique().to_list() == [summary.run] != first
    assert mixed.findings() == []


def test_running_one_site_again_leaves_the_others_alone(mixed: SmallNight) -> None:
    before, others = mixed.content(), mixed.table("records").filter(pl.col("site") != "nyc")
    summary = mixed.run(only=frozenset({"nyc"}))
    assert summary.sites == 1
    assert_same(before, mixed.content())
    after = mixed.table("records")
    assert after.filter(site="nyc")["_run"].unique().to_list() == [summary.run]
    unchanged = after.filter(pl.col("site") != "nyc")
    assert unchanged.sort(unchanged.columns).equals(others.sort(others.columns))
    assert mixed.findings() == []


def test_a_held_site_settles_when_it_delivers_correctly(night: SmallNight) -> None:
    deliver_all(night)
    night.deliver("nyc", [*rows("nyc", 5), row("nyc", "bad", fee="x")], rows=9)
    assert [item["site"] for item in night.run().held] == ["nyc"]
    assert night.states()["nyc", DAY] == "held"
    assert night.table("records").filter(site="nyc").is_empty()
    assert night.findings() == []
    night.deliver("nyc", rows("nyc", 5), name="d2", at="2026-03-09T03:00:00Z")
    summary = night.run(only=frozenset({"nyc"}))
    assert summary.outcome == "published"
    assert set(night.states().values()) == {"settled"}
    assert night.table("records").group_by("site").len()["len"].to_list() == [5] * 4
    assert night.table("quarantine").is_empty()  # the row of the delivery that counts no more
    assert night.findings() == []


def test_a_settled_site_keeps_its_rows_when_a_later_delivery_is_held(night: SmallNight) -> None:
    deliver_all(night)
    night.run()
    before = night.content()
    night.deliver("nyc", rows("nyc", 4), name="d2", rows=9, at="2026-03-09T03:00:00Z")
    assert [item["site"] for item in night.run().held] == ["nyc"]
    after = night.content()
    for table in ("records", "totals_by_minutes", "totals_all"):
        assert after[table].equals(before[table])
    window = after["windows"].row(
        by_predicate=(pl.col("site") == "nyc") & (pl.col("business_date") == DAY), named=True
    )
    assert (window["state"], window["rows"], window["settled"]) == ("settled", 5, True)
    assert "declared 9 rows, read 4" in window["reason"]
    assert night.findings() == []


@pytest.mark.parametrize("order", ["as delivered", "both at once", "the other way round"])
def test_two_deliveries_in_any_order(night: SmallNight, order: str) -> None:
    deliver_all(night)
    wrong, right = [{**sent, "minutes": 99} for sent in rows("nyc", 9)], rows("nyc", 7, first=2)
    first = {"content": wrong, "name": "a", "at": "2026-03-09T02:00:00Z"}
    second = {"content": right, "name": "b", "at": "2026-03-09T05:00:00+02:00"}
    steps = [first, second] if order != "the other way round" else [second, first]
    shutil.rmtree(night.folder / f"landing/visits/{DAY}/nyc")
    for number, step in enumerate(steps):
        night.deliver("nyc", **step)  # type: ignore[arg-type]
        if number or order != "both at once":
            night.run()
    found = night.table("records").filter(site="nyc").sort("id")
    assert found["id"].to_list() == [f"nyc-{n}" for n in range(2, 9)]
    assert found["minutes"].to_list() == [n % 3 for n in range(2, 9)]
    assert found["_source"].unique().to_list() == [f"{DAY}/nyc/b/visits.jsonl"]
    assert night.findings() == []


# Business dates


def test_a_day_of_23_hours_and_one_of_25(night: SmallNight) -> None:
    bounds = {
        DAY: ("2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        date(2025, 11, 2): ("2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"),
    }
    for day, (start, end) in bounds.items():
        first, after = (pl.Series([text]).str.to_datetime() for text in (start, end))
        edge = timedelta(microseconds=1)
        times = {
            "before": first - edge,
            "first": first,
            "last": after - edge,
            "after": after,
        }
        sent = [row("nyc", name, at=at[0].isoformat()) for name, at in times.items()]
        night.deliver("nyc", sent, day=day)
        summary = night.run(day, only=frozenset({"nyc"}))
        assert (summary.accepted, summary.late, summary.rejected) == (2, 1, 1)
        kept = night.table("records").filter(business_date=day).sort("at")
        assert kept["id"].to_list() == ["first", "last"]
        aside = night.table("quarantine").filter(business_date=day).sort("_position")
        assert aside.select("key", "reason", "row_date").rows() == [
            ("before", "earlier_business_date", day - timedelta(1)),
            ("after", "outside_window", day + timedelta(1)),
        ]
    assert night.findings() == []


def test_local_midnight_is_told_apart_on_both_sides_of_the_date_line(night: SmallNight) -> None:
    noon = f"{DAY}T10:00:00Z"  # midnight in Kiritimati, late the day before in Pago Pago
    for site in ("kiritimati", "pago"):
        night.deliver(site, [row(site, "now", at=noon), row(site, "usual")])
    night.run(only=frozenset({"kiritimati", "pago"}))
    aside = night.table("quarantine").sort("site")
    assert aside.select("site", "reason", "row_date").rows() == [
        ("kiritimati", "outside_window", date(2026, 3, 9)),
        ("pago", "earlier_business_date", date(2026, 3, 7)),
    ]


def test_a_day_that_a_zone_left_out(tmp_path: Path) -> None:
    night = SmallNight(tmp_path, declare(tmp_path, zones={"apia": "Pacific/Apia"}))
    day = date(2011, 12, 30)
    sent = [
        {"id": "late", "clinic": "apia", "at": "2011-12-30T09:59:59Z"},
        {"id": "early", "clinic": "apia", "at": "2011-12-30T10:00:00Z"},
    ]
    night.deliver("apia", sent, day=day)
    summary = night.run(day)
    assert (summary.outcome, summary.late, summary.rejected) == ("published", 1, 1)
    aside = night.table("quarantine").sort("_position")["row_date"].to_list()
    assert aside == [date(2011, 12, 29), date(2011, 12, 31)]
    assert night.findings() == []


# What is held


def test_zero_rows_settle_if_they_are_declared(night: SmallNight) -> None:
    night.deliver("nyc", [], rows=0)
    night.deliver("pago", [], rows=None)
    night.deliver("kathmandu", b"id,clinic,at\n", file="a.csv", rows=0)
    summary = night.run()
    reasons = {item["site"]: item["reason"] for item in summary.held}
    assert reasons.keys() == {"pago", "kiritimati"}
    assert reasons["pago"] == "no rows, and the manifest does not declare zero"
    assert reasons["kiritimati"] == "not delivered, due 2026-03-08 12:00 UTC"
    windows = night.content()["windows"].filter(state="settled")
    assert windows.select("site", "rows").rows() == [("kathmandu", 0), ("nyc", 0)]
    assert windows["checksum"].unique().to_list() == ["0" * 32]
    assert night.findings() == []


def test_a_night_of_nothing_but_zero_rows(night: SmallNight) -> None:
    night.deliver("nyc", [], rows=0)
    summary = night.run(only=frozenset({"nyc"}))
    assert (summary.outcome, summary.read, summary.settled) == ("published", 0, 1)
    assert night.findings() == []


def test_a_site_that_is_not_registered_is_held_until_it_is(night: SmallNight) -> None:
    for site in ("nyc", "ghost"):
        sent = {**row("nyc", "a"), "clinic": site}
        night.deliver(site, [sent])
    summary = night.run(only=frozenset({"nyc", "ghost"}))
    (held,) = summary.held
    assert held["site"] == "ghost"
    assert held["reason"].startswith("site is not registered")
    aside = night.table("quarantine")
    assert aside.select("site", "reason").rows() == [("ghost", "unknown_site")]
    assert night.findings() == []
    later = SmallNight(night.folder, declare(night.folder, zones={**ZONES, "ghost": "UTC"}))
    assert later.run(only=frozenset({"ghost"})).outcome == "published"
    assert later.table("quarantine").is_empty()
    assert sorted(later.table("records")["site"].to_list()) == ["ghost", "nyc"]
    assert later.findings() == []


def test_a_delivery_that_cannot_be_used_says_why(night: SmallNight) -> None:
    deliver_all(night)
    (night.folder / f"landing/visits/{DAY}/nyc/d1/manifest.json").write_text("{")
    (night.folder / f"landing/visits/{DAY}/not a site").mkdir()
    reasons = {item["site"]: item["reason"] for item in night.run().held}
    assert reasons["nyc"].startswith("delivery cannot be used: d1/manifest.json: not JSON")
    assert "folder name 'not a site' is not a site id" in reasons["not a site"]
    assert len(reasons) == 2
    assert night.findings() == []


def test_files_that_break_while_read_hold_their_site_only(night: SmallNight) -> None:
    deliver_all(night)
    night.deliver("nyc", b'{"id":"a"}\n{"id":"\xff"}\n')
    night.deliver("pago", b"id,id\na,b\n", file="visits.csv")
    night.deliver("kathmandu", b"PAR1", file="visits.parquet", rows=None)
    reasons = {item["site"]: item["reason"] for item in night.run().held}
    assert reasons.keys() == {"nyc", "pago", "kathmandu"}
    assert "unreadable file: visits.jsonl: UnicodeDecodeError" in reasons["nyc"]
    assert "unreadable file: visits.csv: column 'id' stands in it more than once" in reasons["pago"]
    assert "unreadable file: visits.parquet" in reasons["kathmandu"]
    aside = night.table("quarantine").filter(disposition="unreadable")
    assert aside["site"].sort().to_list() == ["kathmandu", "nyc", "pago"]
    assert night.table("records")["site"].unique().to_list() == ["kiritimati"]
    assert night.findings() == []


def test_a_date_without_deliveries_writes_nothing(night: SmallNight) -> None:
    deliver_all(night)
    with pytest.raises(LandingError, match="is the date right"):
        night.run(date(2026, 3, 9))
    assert not Path(night.lake.path).exists()


# Feeds change


def test_a_column_that_is_added_is_null_in_older_rows(night: SmallNight) -> None:
    deliver_all(night)
    night.run()
    columns = {**FEED["columns"], "nurse": "string", "score": "float64"}
    later, day = night.declared(columns=columns), DAY + timedelta(1)
    sent = row("nyc", "new", at=f"{day}T16:00:00Z", nurse="Ann", score=0.5)
    later.deliver("nyc", [sent], day=day)
    later.run(day, only=frozenset({"nyc"}))
    found = later.table("records").sort("business_date", "id")
    assert found["nurse"].to_list() == [None] * 20 + ["Ann"]
    assert found["score"].to_list() == [None] * 20 + [0.5]
    assert later.findings() == []  # checksums of older rows stay what they were
    later.run()
    assert later.findings() == []


def test_rows_of_an_older_file_are_kept_when_one_of_its_sites_is_replaced(
    night: SmallNight,
) -> None:
    deliver_all(night)
    night.run()
    later = night.declared(columns={**FEED["columns"], "nurse": "string"})
    later.deliver("nyc", [row("nyc", "new", nurse="Ann")], name="d2", at="2026-03-09T03:00:00Z")
    later.run(only=frozenset({"nyc"}))
    found = later.table("records")
    assert found.filter(site="nyc")["nurse"].to_list() == ["Ann"]
    assert found.filter(pl.col("site") != "nyc")["nurse"].to_list() == [None] * 15
    assert later.findings() == []


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"minutes": "string"}, r"column 'minutes' is stored as int32 and declared as"),
        ({"fee": "decimal(12,2)"}, r"column 'fee' is stored as decimal128\(10, 2\)"),
        ({"note": None}, r"column 'note' is stored and no longer declared"),
    ],
)
def test_a_column_that_changes_is_refused(
    night: SmallNight, columns: dict[str, Any], said: str
) -> None:
    deliver_all(night)
    night.run()
    before, runs = night.content(), night.table("runs")
    changed = {k: v for k, v in {**FEED["columns"], **columns}.items() if v is not None}
    with pytest.raises(SchemaChangeError, match=said):
        night.declared(columns=changed).run()
    assert_same(before, SmallNight(night.folder, night.declaration).content())
    assert night.table("runs").equals(runs)


def test_a_change_that_is_refused_widens_no_other_table(night: SmallNight) -> None:
    deliver_all(night)
    night.run()
    totals = {**FEED["totals"], "all": {"by": [], "measures": {"visits": {"max": "fee"}}}}
    later = night.declared(columns={**FEED["columns"], "nurse": "string"}, totals=totals)
    with pytest.raises(SchemaChangeError, match="column 'visits' is stored as int64"):
        later.run()
    assert "nurse" not in night.table("records").columns


def test_a_night_stopped_while_publishing_is_finished_by_a_feed_with_more_columns(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_all(night)
    replace_rows = publish.replace_rows

    def stopping(lake: Place, table: Table, *args: Any, **more: Any) -> int:
        if table.name == "visits/records":
            raise KeyboardInterrupt
        return replace_rows(lake, table, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(publish, "replace_rows", stopping)
        with pytest.raises(KeyboardInterrupt):
            night.run()
    later = night.declared(columns={**FEED["columns"], "nurse": "string"})
    assert later.run().outcome == "published"
    assert later.findings() == []


# What a feed computes


def shout(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("note").str.to_uppercase())


def test_lookups_derived_columns_and_a_hook(night: SmallNight) -> None:
    kinds = pl.DataFrame({"minutes": [0, 1], "kind": ["short", "long"]})
    kinds.cast({"minutes": pl.Int32}).write_parquet(night.folder / "kinds.parquet")
    sys.modules["visit_hooks"] = sys.modules[__name__]
    feed = {
        "lookups": {"kinds": {"path": "kinds.parquet", "on": "minutes", "columns": ["kind"]}},
        "derive": {"tenth": "minutes / 10.0", "label": "note || '!'"},
        "hook": "visit_hooks:shout",
        "totals": {"by_kind": {"by": ["kind"], "measures": {"n": "count", "tenth": "sum"}}},
    }
    night = night.declared(**feed)
    night.deliver("nyc", [row("nyc", str(n), minutes=n % 3, note="hi") for n in range(6)])
    night.run(only=frozenset({"nyc"}))
    found = night.table("records").sort("id")
    assert found["kind"].to_list() == ["short", "long", None] * 2
    assert found["tenth"].cast(pl.Float64).to_list() == [0.0, 0.1, 0.2] * 2
    assert found["note"].to_list() == ["HI"] * 6
    assert found["label"].to_list() == ["HI!"] * 6
    totals = night.table("totals_by_kind").sort("kind", nulls_last=True)
    assert totals.select("kind", "n").rows() == [("long", 2), ("short", 2), (None, 2)]
    assert totals["tenth"].cast(pl.Float64).to_list() == pytest.approx([0.2, 0.0, 0.4])
    assert night.findings() == []


def test_extra_columns_are_ignored_or_rejected(night: SmallNight) -> None:
    content = b"id,clinic,at,till\n" + b"".join(
        b"%d,nyc,2026-03-08T16:00:00Z,%s\n" % (n, b"5" if n else b"") for n in range(3)
    )
    night.deliver("nyc", content, file="a.csv", rows=3)
    assert night.run(only=frozenset({"nyc"})).accepted == 3
    summary = night.run(feed={"extra_columns": "reject"}, only=frozenset({"nyc"}))
    assert (summary.accepted, summary.rejected) == (1, 2)
    aside = night.table("quarantine")
    assert aside.select("reason", "column").unique().rows() == [("extra_column", "till")]
    assert night.findings() == []


def test_sites_come_and_go(night: SmallNight) -> None:
    path = night.folder / "sites.csv"
    text = path.read_text().replace("Pago_Pago,,02:00,,", "Pago_Pago,,02:00,,2026-03-07")
    path.write_text(text.replace("New_York,,02:00,,", "New_York,,02:00,2026-03-09,"))
    sites = load_sites(path)
    sites = load_sites(night.folder / "sites.csv")
    declaration = Declaration(night.declaration.feed, sites, night.declaration.path)
    night = SmallNight(night.folder, declaration)
    night.deliver("kathmandu", rows("kathmandu", 1))
    held = [item["site"] for item in night.run().held]
    assert held == ["kiritimati"]  # neither the one that closed nor the one still to open


def test_a_site_is_awaited_until_its_deadline(night: SmallNight) -> None:
    day = date.today() + timedelta(days=3)
    night.deliver("nyc", [], day=day, rows=0)
    summary = night.run(day)
    assert summary.held == []
    assert summary.awaited == ["kathmandu", "kiritimati", "pago"]
    assert set(night.states()) == {("nyc", day)}
