from __future__ import annotations

import json
import zlib
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from isopach.feeds.days import day_bounds
from isopach.feeds.feed import Feed
from isopach.feeds.load import load_declaration
from isopach.feeds.rules import declared_rules
from isopach.feeds.sales import write_night
from isopach.feeds.sales_event_faults import ABSENT, BROKEN, KINDS, SHARES
from isopach.feeds.sales_events import Events, Plan, day_events, replay
from isopach.feeds.sales_files import as_text, json_lines
from isopach.feeds.sales_rows import price_list, table
from isopach.feeds.sales_stores import SITES, active_stores, draw_stores, rows_per_store
from isopach.pipelines.json_lines import decode_json
from isopach.pipelines.logs import texts
from isopach.transforms.batches import repeated, with_column
from isopach.transforms.lateness import UNKNOWN, timeliness
from isopach.transforms.prepare import Arrival, prepare

DST = date(2026, 3, 8)
ROWS = 20_000
TEN_MINUTES, TWO_DAYS = 600_000_000, 2 * 86_400_000_000
JUDGED = ["_source", "_position", "disposition", "reason"]
ZONES = dict(pl.read_csv(SITES).select("site", "time_zone").iter_rows())


def parsed(lines: pl.Series) -> pl.DataFrame:
    """Return what whole lines say, types as in the deliveries."""
    form = "%Y-%m-%dT%H:%M:%S%.6f%:z"
    rows = pl.DataFrame([json.loads(line) for line in lines], infer_schema_length=None)
    return rows.with_columns(
        pl.col("sold_at").str.to_datetime(form, time_unit="us").dt.convert_time_zone("UTC"),
        pl.col("unit_price").cast(pl.Decimal(10, 2)),
        pl.col("quantity").cast(pl.Int32),
    )


def delivered(landing: Path, **options: int) -> pl.DataFrame:
    """Return a night's rows, each once."""
    write_night(landing, DST, rows=ROWS, **options)
    files = landing / "sales" / f"{DST}" / "*" / "*" / "*.parquet"
    rows = pl.read_parquet(files).with_columns(pl.col("store", "sku").cast(pl.String))
    return rows.unique("event_id").sort("event_id")


@pytest.mark.parametrize("seed", [7, 8])
def test_the_same_sales_as_delivered(tmp_path: Path, seed: int) -> None:
    result = parsed(day_events(DST, rows=ROWS, seed=seed).lines()).sort("event_id")
    assert result.equals(delivered(tmp_path, seed=seed))


def test_lines_are_written_as_delivered_lines_are() -> None:
    sizes = rows_per_store(200, ROWS, "zipf", 7)
    lines = set(day_events(DST, rows=ROWS).lines())
    for store, zone, _, sales, _ in draw_stores(active_stores(SITES, DST), sizes, DST, 7):
        assert lines.issuperset(json_lines(as_text(table(sales, price_list(7)), zone)))
        assert store in ZONES


@pytest.mark.parametrize("faults", [False, True])
def test_a_seed_always_gives_the_same(faults: bool) -> None:
    first, second, other = (
        day_events(DST, rows=ROWS, seed=seed, faults=faults) for seed in (7, 7, 8)
    )
    assert first.lines().equals(second.lines())
    assert first.rows.equals(second.rows)
    assert first.truth().faults.equals(second.truth().faults)
    assert not first.lines().equals(other.lines())


def test_events_ascend_in_time() -> None:
    sold_at = day_events(DST, rows=ROWS).rows["sold_at"]
    assert sold_at.is_sorted()


@pytest.mark.parametrize(("partitions", "faults"), [(1, False), (5, True), (64, False)])
def test_a_store_is_always_in_one_partition(partitions: int, faults: bool) -> None:
    seen: dict[str, int] = {}
    events = day_events(DST, rows=ROWS, partitions=partitions, faults=faults)
    for partition, part in events.by_partition():
        assert part.rows["position"].to_list() == list(range(len(part)))
        whole = part.lines().str.extract('"store":"([^"]+)"').drop_nulls()
        for store in whole.unique():
            assert seen.setdefault(store, partition) == partition
            assert zlib.crc32(store.encode()) % partitions == partition
    assert len(seen) > 190


def test_plain_truth(tmp_path: Path) -> None:
    truth, night = day_events(DST, rows=ROWS).truth(), write_night(tmp_path, DST, rows=ROWS)
    assert truth.accepted == night.accepted
    assert set(truth.faults["kind"]) == {"null_sku"}
    null_skus = night.faults.filter(kind="null_sku").select("site", "business_date", "event_id")
    result = truth.faults.select("site", "business_date", "event_id")
    assert result.sort("event_id").equals(null_skus.sort("event_id"))


def reached(rows: pl.DataFrame) -> np.ndarray:
    """Return the greatest event time before each row of a partition."""
    return rows["sold_at"].cum_max().shift(1, fill_value=0).to_numpy()


def arrival(events: Events, partition: int, feed: Feed) -> Arrival:
    """Return a partition's events as read from a log that has bytes."""
    values = [line.encode().replace(BROKEN.encode(), b"\xff") for line in events.lines()]
    (batch,) = decode_json(texts(values), feed)
    batch = with_column(batch, "_source", repeated(str(partition), batch.num_rows))
    batch = with_column(batch, "_position", pa.array(np.arange(batch.num_rows)))
    return Arrival(None, None, batch)


def dispositions(events: Events) -> pl.DataFrame:
    """Return what the transforms make of the rows that they do not accept."""
    feed, sites = (declared := load_declaration("sales")).feed, declared.sites
    found = []
    for partition, part in events.by_partition():
        outcome = prepare(arrival(part, partition, feed), feed, sites, declared_rules(feed))
        found.append(pl.DataFrame(outcome.quarantined).select(JUDGED))
        good = pl.DataFrame(outcome.accepted)
        latest = int(good["sold_at"].to_physical().max())  # type: ignore[arg-type]
        late = timeliness(outcome.accepted, feed, sites, UNKNOWN, UNKNOWN, latest).late
        again = ~good["event_id"].is_first_distinct().to_numpy()
        for mask, disposition, reason in (
            (late, "late", "window_closed"),
            (again, "duplicate", "duplicate_key"),
        ):
            judged = good.filter(mask).with_columns(
                disposition=pl.lit(disposition), reason=pl.lit(reason)
            )
            found.append(judged.select(JUDGED))
    rows = pl.concat(found, how="vertical_relaxed").with_columns(pl.col("_source").cast(pl.Int64))
    return rows.sort("_source", "_position")


@pytest.mark.parametrize("day", [DST, date(2026, 6, 3)])
def test_faults_are_judged_as_expected(day: date) -> None:
    events = day_events(day, rows=ROWS, faults=True, binary=True)
    faults = events.truth().faults.filter(pl.col("disposition") != "accepted")
    expected = faults.select("partition", "position", "disposition", "reason")
    result = dispositions(events)
    assert result.rows() == expected.sort("partition", "position").rows()


def test_too_late_events_are_too_late_by_their_neighbour_alone() -> None:
    sites = load_declaration("sales").sites
    behind = []
    for _, part in day_events(DST, rows=ROWS, faults=True).by_partition():
        late = part.rows["kind"] == "too_late"
        earlier = part.rows["sold_at"].shift(1).filter(late)
        owner = part.rows["store"].filter(late)
        days = part.truth().faults.filter(kind="too_late")
        for moment, code, site, own in zip(
            earlier, owner, days["site"], days["business_date"], strict=True
        ):
            assert part.texts.stores[code] == site
            behind.append(moment - TEN_MINUTES - sites.window(site, own)[1] - TWO_DAYS)
    assert min(behind) >= 0


def test_every_kind_occurs_and_says_what_is_expected() -> None:
    events = day_events(DST, rows=ROWS, faults=True, binary=True)
    truth = events.truth()
    counts = dict(truth.faults["kind"].value_counts().iter_rows())
    assert counts.keys() == KINDS.keys() - {"plain"}
    assert min(counts.values()) > 1
    assert counts["disorder"] == pytest.approx(ROWS * SHARES["disorder"], rel=0.05)
    assert truth.events == len(events)
    sent = truth.faults.filter(pl.col("disposition").is_not_null())
    refused = sent.filter(pl.col("disposition") != "accepted")
    assert truth.accepted == len(events) - refused.height
    for row in truth.faults.iter_rows(named=True):
        assert (row["disposition"], row["reason"]) == KINDS[row["kind"]]


def test_bytes_that_are_no_text_only_where_a_log_has_bytes() -> None:
    events = day_events(DST, rows=ROWS, faults=True)
    assert "bad_utf8" not in set(events.truth().faults["kind"])
    assert not events.lines().str.contains(BROKEN).any()


def test_positions_are_those_of_the_events() -> None:
    events = day_events(DST, rows=ROWS, faults=True)
    faults = events.truth().faults.filter(pl.col("position").is_not_null())
    lines = {partition: part.lines() for partition, part in events.by_partition()}
    whole = faults.filter(~pl.col("kind").is_in(["html", "cut_off"]))
    for row in whole.iter_rows(named=True):
        line = json.loads(lines[row["partition"]][row["position"]])
        assert line["event_id"] == row["event_id"]
        assert (line["store"] == "X999") == (row["kind"] == "unknown_store")
        assert (line["quantity"] == "abc") == (row["kind"] == "malformed")


def test_a_duplicate_repeats_an_earlier_line_of_its_partition() -> None:
    events = day_events(DST, rows=ROWS, faults=True)
    gaps = []
    for _, part in events.by_partition():
        lines = part.lines()
        again = (part.rows["kind"] == "duplicate").arg_true()
        assert (~lines.is_first_distinct() & (part.rows["kind"] != "html")).arg_true().equals(again)
        first = {line: place for place, line in reversed(list(enumerate(lines)))}
        gaps += [place - first[lines[place]] for place in again]
    assert min(gaps) < 50 < max(gaps)


def test_disorder_stays_within_ten_minutes() -> None:
    behind = []
    for _, part in day_events(DST, rows=ROWS, faults=True).by_partition():
        prompt = part.rows.filter(~pl.col("kind").is_in(["late_allowed", "duplicate", "too_late"]))
        behind += (reached(prompt) - prompt["sold_at"].to_numpy()).tolist()
    assert 0 < max(behind) <= TEN_MINUTES


def test_late_events_are_hours_behind_but_in_time() -> None:
    behind = []
    for _, part in day_events(DST, rows=ROWS, faults=True).by_partition():
        late = (part.rows["kind"] == "late_allowed").to_numpy()
        behind += (reached(part.rows) - part.rows["sold_at"].to_numpy())[late].tolist()
    assert len(behind) > 5
    assert 5 * TEN_MINUTES < max(behind) < TWO_DAYS


def test_too_late_events_are_sold_before_and_numbered_apart() -> None:
    days = [DST + timedelta(days=n) for n in range(6)]
    plan = Plan(rows=ROWS, faults=True)
    late = pl.concat([events.truth().faults for events in replay(days, plan)])
    late = late.filter(kind="too_late")
    assert late["event_id"].is_unique().all()
    assert late["event_id"].str.slice(-8).cast(pl.Int64).min() > 90_999_999  # type: ignore[operator]
    named = late["event_id"].str.extract(r"-(\d{8})-").str.to_date("%Y%m%d")
    assert named.equals(late["business_date"], check_names=False)


def test_dead_sites() -> None:
    plain = day_events(DST, rows=ROWS)
    events = day_events(DST, rows=ROWS, faults=True)
    faults = events.truth().faults
    absent = faults.filter(reason=ABSENT.reason)
    (never,), (silent,) = (
        absent.filter(kind=kind)["site"].unique().to_list()
        for kind in ("never_sent", "silent_from_noon")
    )
    sent = parsed(events.lines().filter(events.rows["kind"] == "plain"))
    assert never not in sent["store"]
    start, end = day_bounds(DST, ZONES[silent])
    last = sent.filter(store=silent)["sold_at"].to_physical().max()
    hour = 3_600_000_000
    assert start < last < end - 12 * hour  # type: ignore[operator]
    missing = set(parsed(plain.lines())["event_id"]) - set(
        events.lines().str.extract('"event_id":"([^"]+)"')
    )
    assert missing - set(faults.filter(reason="not_json")["event_id"]) == set(absent["event_id"])


def test_sites_that_are_named_dead_send_nothing() -> None:
    events = day_events(DST, rows=ROWS, dead=["S003"])
    assert set(events.truth().faults.filter(kind="never_sent")["site"]) == {"S003"}
    assert not events.lines().str.contains("S003").any()
    with pytest.raises(ValueError, match=r"dead site 'S3' is not in .*sites\.csv"):
        day_events(DST, rows=ROWS, dead=["S3"])


@pytest.mark.parametrize("faults", [False, True])
def test_a_replay_of_days_is_in_order_over_all(faults: bool) -> None:
    days = [DST + timedelta(days=n) for n in range(3)]
    plan = Plan(rows=ROWS, faults=faults)
    parts = list(replay(days, plan))
    rows = pl.concat([part.rows for part in parts])
    assert rows["arrival"].is_sorted()
    for partition in range(plan.partitions):
        positions = rows.filter(partition=partition)["position"]
        assert positions.to_list() == list(range(len(positions)))
    alone = [day_events(day, rows=ROWS, faults=faults) for day in days]
    lines = pl.concat([part.lines() for part in parts])
    expected = pl.concat([events.lines() for events in alone])
    assert lines.sort().equals(expected.sort())
    assert sum(len(part.absent) for part in parts) == sum(len(one.absent) for one in alone)
    assert set(parts[1].rows["day"]) >= {20520, 20521}  # the first date ends within the second


def test_events_that_happen_now_keep_their_delays() -> None:
    events = day_events(DST, rows=ROWS, faults=True)
    moment = 1_780_000_000_000_000
    rows = events.arriving(moment).rows
    late = rows["kind"].is_in(["disorder", "late_allowed", "duplicate", "too_late"])
    assert (rows.filter(~late)["sold_at"] == moment).all()
    delay = events.rows["arrival"] - events.rows["sold_at"]
    assert (moment - rows["sold_at"]).equals(delay, check_names=False)
    line = json.loads(events.arriving(moment).slice(0, 1).lines()[0])
    assert line["event_id"] == json.loads(events.lines()[0])["event_id"]


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="partitions=0: give at least 1"):
        day_events(DST, partitions=0)
    with pytest.raises(ValueError, match=r"rows are too few for faults: give at least \d+"):
        day_events(
            DST, rows=200, shape="uniform", faults=True, dead=[f"S{n:03}" for n in range(1, 190)]
        )
    with pytest.raises(ValueError, match="no dates to replay"):
        next(replay([], Plan()))


def test_few_stores_are_too_few_for_faults(tmp_path: Path) -> None:
    registry = tmp_path / "sites.csv"
    registry.write_text(
        "site,name,time_zone,region,deadline,active_from,active_to\n"
        "A,Open,Asia/Tokyo,,02:00,2020-01-01,\n"
        "B,Closed,Asia/Tokyo,,02:00,2020-01-01,2026-03-07\n"
    )
    assert len(day_events(DST, rows=10, sites=registry)) == 10
    with pytest.raises(ValueError, match="1 stores are too few for faults: give at least 4"):
        day_events(DST, rows=1000, sites=registry, faults=True)
