from __future__ import annotations

import gzip
import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isopach.feeds.days import day_bounds
from isopach.feeds.load import load_declaration
from isopach.feeds.sales import SITES, main, write_night
from isopach.feeds.sales_rows import SCHEMA, SKUS, draw, price_list, table, tables

DST = date(2026, 3, 8)
ROWS = 20_000
ZONES = dict(pl.read_csv(SITES).select("site", "time_zone").iter_rows())
HELD = ["zero_rows", "not_delivered", "truncated", "wrong_count", "zero_quantity"]


def manifests(landing: Path, day: date = DST) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Return the newest delivery of each store."""
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path in sorted((landing / "sales" / f"{day}").glob("*/*/manifest.json")):
        manifest = json.loads(path.read_text())
        best = found.get(manifest["site"])
        if best is None or best[1]["delivered_at"] < manifest["delivered_at"]:
            found[manifest["site"]] = (path.parent, manifest)
    return found


def read_parquet(landing: Path, day: date = DST) -> pl.DataFrame:
    return pl.read_parquet(landing / "sales" / f"{day}" / "*" / "*" / "*.parquet")


def read_csv(path: Path) -> pl.DataFrame:
    content = path.read_bytes()
    return pl.read_csv(
        gzip.decompress(content) if path.suffix == ".gz" else content, infer_schema=False
    )


def read_lines(path: Path) -> list[str]:
    with pa.input_stream(path, compression="detect") as stream:
        return str(stream.read(), "utf-8").splitlines()


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_declaration_loads_with_the_shipped_sites() -> None:
    declaration = load_declaration("sales")
    assert len(declaration.sites) == 200
    assert len(set(ZONES.values())) >= 10
    assert {"Asia/Kathmandu", "America/New_York", "Australia/Sydney"} <= set(ZONES.values())


@pytest.mark.parametrize("faults", [False, True])
def test_same_seed_gives_same_bytes(tmp_path: Path, faults: bool) -> None:
    first = write_night(tmp_path / "a", DST, rows=ROWS, faults=faults)
    second = write_night(tmp_path / "b", DST, rows=ROWS, faults=faults)
    write_night(tmp_path / "c", DST, rows=ROWS, faults=faults, seed=8)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")
    assert (first.rows, first.accepted) == (second.rows, second.accepted)
    assert first.faults.equals(second.faults)


def test_a_night_is_replaced(tmp_path: Path) -> None:
    write_night(tmp_path, DST, rows=ROWS, faults=True)
    write_night(tmp_path, DST, rows=ROWS)
    write_night(tmp_path / "fresh", DST, rows=ROWS)
    assert digests(tmp_path / "sales") == digests(tmp_path / "fresh" / "sales")


def test_plain_night_adds_up(tmp_path: Path) -> None:
    truth = write_night(tmp_path, DST, rows=ROWS)
    rows = read_parquet(tmp_path)
    unique = rows.drop_nulls("sku").unique("event_id")
    kinds = dict(truth.faults["kind"].value_counts().iter_rows())
    assert rows.height == truth.rows == ROWS
    assert unique.height == truth.accepted
    assert rows["sku"].null_count() == kinds["null_sku"]
    assert rows.height - rows.n_unique("event_id") == kinds["duplicate"]
    assert rows.n_unique() == rows.n_unique("event_id")  # a repeated row is exactly the same


def test_schema_and_values(tmp_path: Path) -> None:
    write_night(tmp_path, DST, rows=ROWS)
    file = next(tmp_path.rglob("*.parquet"))
    rows = read_parquet(tmp_path)
    assert pq.read_schema(file).equals(SCHEMA)
    assert rows["quantity"].is_between(1, 9).all()
    assert rows["event_id"].str.contains(r"^S\d{3}-20260308-\d{8}$").all()
    assert rows["customer"].drop_nulls().str.contains(r"^C\d{7}$").all()
    assert rows["customer"].null_count() / ROWS == pytest.approx(0.3, abs=0.02)
    assert (
        rows.drop_nulls("sku")
        .group_by("sku")
        .agg(pl.n_unique("unit_price"))["unit_price"]
        .eq(1)
        .all()
    )
    assert 1_500 < rows["sku"].n_unique() <= SKUS + 1
    assert rows["sku"].value_counts()["count"].max() > 50 * ROWS / SKUS  # type: ignore[operator]


def test_sold_within_the_local_day(tmp_path: Path) -> None:
    write_night(tmp_path, DST, rows=ROWS)
    spans = (
        read_parquet(tmp_path)
        .group_by("store")
        .agg(
            pl.col("sold_at").min().to_physical().alias("first"),
            pl.col("sold_at").max().to_physical().alias("last"),
        )
    )
    assert spans.height == 200
    for store, first, last in spans.iter_rows():
        start, end = day_bounds(DST, ZONES[store])
        assert start <= first <= last < end


@pytest.mark.parametrize(
    ("zone", "hours"), [("America/New_York", 23), ("Asia/Kathmandu", 24), ("Europe/Berlin", 24)]
)
def test_a_day_is_filled_from_end_to_end(zone: str, hours: int) -> None:

    sales = draw("S001", DST, zone, 50_000, np.random.default_rng(1))
    local = pl.Series(sales.sold_at).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    start, end = day_bounds(DST, zone)
    assert (end - start) == hours * 3_600_000_000
    assert local.dt.date().unique().to_list() == [DST]
    assert local.dt.hour().n_unique() == hours


def test_rows_ascend_apart_from_repeated_ones() -> None:

    sales = draw("S001", DST, "Asia/Kathmandu", 50_000, np.random.default_rng(1))
    first = np.delete(np.arange(50_000), sales.duplicates)
    assert (np.diff(sales.event[first]) == 1).all()
    assert (np.diff(sales.sold_at[first]) >= 0).all()
    assert (sales.event[sales.duplicates] < sales.event[sales.duplicates - 1] + 1).all()
    assert 20 < len(sales.duplicates) < 90


def test_tables_cut_the_same_rows() -> None:

    sales = draw("S001", DST, "Asia/Kathmandu", 2_500, np.random.default_rng(1))
    prices = price_list(7)
    parts = list(tables(sales, prices, file_rows=1_000))
    assert [part.num_rows for part in parts] == [1_000, 1_000, 500]
    assert pl.DataFrame(pa.concat_tables(parts)).equals(pl.DataFrame(table(sales, prices)))


def sizes(landing: Path) -> list[int]:
    return sorted((m["rows"] for _, m in manifests(landing).values()), reverse=True)


def test_zipf_sizes(tmp_path: Path) -> None:
    write_night(tmp_path, DST, rows=ROWS, shape="zipf")
    result = sizes(tmp_path)
    assert sum(result) == ROWS
    assert [result[0] / result[rank - 1] for rank in (2, 10, 50)] == pytest.approx(
        [2, 10, 50], rel=0.05
    )


def test_uniform_sizes(tmp_path: Path) -> None:
    write_night(tmp_path, DST, rows=1_010, shape="uniform")
    assert sizes(tmp_path) == [6] * 10 + [5] * 190


def test_one_hot_store(tmp_path: Path) -> None:
    write_night(tmp_path, DST, rows=ROWS, shape="hot")
    result = sizes(tmp_path)
    assert result[0] == pytest.approx(ROWS / 2, abs=1)
    assert result[1] - result[-1] <= 1
    assert sum(result) == ROWS


@pytest.mark.parametrize("shape", ["zipf", "uniform", "hot"])
def test_every_store_sells_something(tmp_path: Path, shape: Any) -> None:
    write_night(tmp_path, DST, rows=250, shape=shape)
    assert sizes(tmp_path)[-1] >= 1
    assert sum(sizes(tmp_path)) == 250


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rows=199 is fewer than the 200 stores"):
        write_night(tmp_path, DST, rows=199)
    assert not any(tmp_path.iterdir())


def test_unknown_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'flat' is not one of zipf, uniform, hot"):
        write_night(tmp_path, DST, shape="flat")  # type: ignore[arg-type]


def test_only_active_stores_deliver(tmp_path: Path) -> None:
    registry = tmp_path / "sites.csv"
    registry.write_text(
        "site,name,time_zone,region,deadline,active_from,active_to\n"
        "A,Open,Asia/Tokyo,,02:00,2020-01-01,\n"
        "B,Closed,Asia/Tokyo,,02:00,2020-01-01,2026-03-07\n"
        "C,Last day,Asia/Tokyo,,02:00,2020-01-01,2026-03-08\n"
        "D,Not yet,Asia/Tokyo,,02:00,2026-03-09,\n"
    )
    write_night(tmp_path, DST, rows=10, sites=registry)
    assert set(manifests(tmp_path)) == {"A", "C"}


def test_manifests_match_files(tmp_path: Path) -> None:
    write_night(tmp_path, DST, rows=ROWS)
    found = manifests(tmp_path)
    assert len(found) == 200
    for folder, manifest in found.values():
        counted = {path.name: pq.read_metadata(path).num_rows for path in folder.glob("*.parquet")}
        assert {file["name"]: file["rows"] for file in manifest["files"]} == counted
        assert manifest["rows"] == sum(counted.values())
        assert (manifest["business_date"], manifest["delivery"]) == ("2026-03-08", "d1")
        assert manifest["site"] == folder.parent.name
        assert manifest["delivered_at"].endswith("Z")
        assert {path.name for path in folder.iterdir()} == {*counted, "manifest.json"}


def test_manifest_comes_last(tmp_path: Path) -> None:
    write_night(tmp_path, DST, rows=ROWS, faults=True)
    for manifest in tmp_path.rglob("manifest.json"):
        written = manifest.stat().st_mtime_ns
        assert all(path.stat().st_mtime_ns <= written for path in manifest.parent.iterdir())


def test_faulty_night_adds_up(tmp_path: Path) -> None:
    """Read every winning file independently of the writer, and count what it holds."""
    truth = write_night(tmp_path, DST, rows=ROWS, faults=True)
    unreadable = set(truth.faults.filter(kind="truncated")["file"])
    held = set(truth.faults.filter(pl.col("kind").is_in(HELD))["site"])
    rows = accepted = 0
    for store, (folder, manifest) in manifests(tmp_path).items():
        for file in manifest["files"]:
            path = folder / file["name"]
            if path.relative_to(tmp_path).as_posix() in unreadable:
                continue
            count, valid = count_valid(path, store)
            rows += count
            accepted += 0 if store in held else valid
    assert rows == truth.rows
    assert accepted == truth.accepted


def count_valid(path: Path, store: str) -> tuple[int, int]:
    """Return the rows of a file, and the unique valid ones of a store's date."""
    form = path.name.split(".", 1)[1]
    if form == "parquet":
        frame = pl.read_parquet(path)
        count, frame = frame.height, frame.with_columns(pl.col("sold_at").to_physical())
    elif form.startswith("csv"):
        frame = read_csv(path)
        count = frame.height
    else:
        lines = read_lines(path)
        count = len(lines)
        objects = [json.loads(line) for line in lines if line.startswith("{") and line[-1] == "}"]
        frame = pl.DataFrame(objects, infer_schema_length=None)
    if frame["sold_at"].dtype == pl.String:
        frame = frame.with_columns(
            pl.col("sold_at")
            .str.to_datetime("%Y-%m-%dT%H:%M:%S%.6f%:z", strict=False, time_unit="us")
            .to_physical()
        )
    start, end = day_bounds(DST, ZONES[store])
    valid = frame.filter(
        pl.col("store") == store,
        pl.col("sold_at").is_between(start, end, closed="left"),
        pl.col("sku").is_not_null(),
        pl.col("quantity").cast(pl.Int32, strict=False).is_not_null(),
        pl.col("unit_price").cast(pl.Decimal(10, 2), strict=False).is_not_null(),
    )
    return count, valid.n_unique("event_id")


def test_every_kind_of_fault_in_its_own_store(tmp_path: Path) -> None:
    faults = write_night(tmp_path, DST, rows=ROWS, faults=True).faults
    assert set(faults["kind"]) == {
        "duplicate",
        "null_sku",
        "malformed",
        "not_json",
        "unknown_store",
        "late",
        "early",
        "extra_column",
        "corrected",
        *HELD,
    }
    placed = faults.filter(~pl.col("kind").is_in(["duplicate", "null_sku"]))
    stores = placed.select("kind", "site").unique()
    assert stores["kind"].is_unique().all()
    assert stores["site"].n_unique() == stores.height - 1  # late and early share one
    assert (faults["business_date"] == DST).all()
    assert faults.filter(pl.col("row").is_null())["kind"].n_unique() == 6


def test_two_stores_in_each_other_format(tmp_path: Path) -> None:
    write_night(tmp_path, DST, rows=ROWS, faults=True)
    files = [
        file["name"].split(".", 1)[1]
        for _, m in manifests(tmp_path).values()
        for file in m["files"]
    ]
    for form in ("csv", "csv.gz", "jsonl", "jsonl.zst"):
        assert files.count(form) == 2


def test_formats_stay_and_faults_move(tmp_path: Path) -> None:
    nights = [date(2026, 3, day) for day in (8, 9, 10)]
    moved, kept = set(), set()
    for day in nights:
        truth = write_night(tmp_path, day, rows=ROWS, faults=True)
        moved.add(truth.faults.filter(kind="zero_rows")["site"][0])
        kept.add(truth.faults.filter(kind="not_json")["site"][0])
    assert len(moved) > 1
    assert len(kept) == 1


def faulty(tmp_path: Path, kind: str) -> tuple[pl.DataFrame, Path]:
    """Write a faulty night; return one kind of its faults, and their file."""
    found = write_night(tmp_path, DST, rows=ROWS, faults=True).faults.filter(kind=kind)
    return found, tmp_path / found["file"][0]


def test_malformed_rows_are_where_the_truth_says(tmp_path: Path) -> None:
    found, path = faulty(tmp_path, "malformed")
    rows = read_csv(path)[found["row"].to_list()]
    assert rows["event_id"].to_list() == found["event_id"].to_list()
    bad = (
        (rows["quantity"] == "abc").cast(int)
        + (rows["unit_price"] == "12,5O").cast(int)
        + (rows["sold_at"] == "yesterday").cast(int)
    )
    assert bad.to_list() == [1] * found.height


def test_lines_that_are_not_json_are_where_the_truth_says(tmp_path: Path) -> None:
    found, path = faulty(tmp_path, "not_json")
    bad = []
    for row, line in enumerate(read_lines(path)):
        try:
            json.loads(line)
        except ValueError:
            bad.append(row)
    assert bad == found["row"].to_list()


@pytest.mark.parametrize(
    "kind", ["duplicate", "null_sku", "unknown_store", "late", "early", "zero_quantity"]
)
def test_faulty_rows_are_where_the_truth_says(tmp_path: Path, kind: str) -> None:
    found, _ = faulty(tmp_path, kind)
    parquet = found.filter(pl.col("file").str.ends_with(".parquet"))
    assert parquet.height > 3
    for file, rows in parquet.group_by("file"):
        frame = pl.read_parquet(tmp_path / str(file[0]))
        at = rows["row"].to_list()
        assert frame["event_id"].gather(at).to_list() == rows["event_id"].to_list()
        start, end = day_bounds(DST, ZONES[rows["site"][0]])
        sold_at = frame["sold_at"].gather(at).to_physical()
        if kind == "duplicate":
            assert (~frame["event_id"].is_first_distinct()).arg_true().to_list() == at
        elif kind == "null_sku":
            assert frame["sku"].is_null().arg_true().to_list() == at
        elif kind == "unknown_store":
            assert (frame["store"] == "X999").arg_true().to_list() == at
        elif kind == "zero_quantity":
            assert (frame["quantity"] == 0).arg_true().to_list() == at
        elif kind == "late":
            assert (sold_at < start).all()
        else:
            assert (sold_at >= end).all()


def test_zero_rows_are_delivered_without_a_count(tmp_path: Path) -> None:
    found, path = faulty(tmp_path, "zero_rows")
    _, manifest = manifests(tmp_path)[found["site"][0]]
    assert pq.read_metadata(path).num_rows == 0
    assert manifest["rows"] is None
    assert manifest["files"] == [{"name": path.name, "rows": None}]


def test_undelivered_store_has_no_folder(tmp_path: Path) -> None:
    found, path = faulty(tmp_path, "not_delivered")
    assert path == tmp_path / "sales" / "2026-03-08" / found["site"][0]
    assert not path.exists()


def test_truncated_file_is_unreadable(tmp_path: Path) -> None:
    _, path = faulty(tmp_path, "truncated")
    with pytest.raises(pa.ArrowInvalid):
        pq.read_metadata(path)


def test_wrong_count_is_seven_more(tmp_path: Path) -> None:
    found, path = faulty(tmp_path, "wrong_count")
    _, manifest = manifests(tmp_path)[found["site"][0]]
    held = sum(pq.read_metadata(file).num_rows for file in path.parent.glob("*.parquet"))
    assert path.name == "manifest.json"
    assert manifest["rows"] == sum(file["rows"] for file in manifest["files"]) == held + 7


def test_correction_changes_prices_only(tmp_path: Path) -> None:
    found, path = faulty(tmp_path, "corrected")
    folder, _ = manifests(tmp_path)[found["site"][0]]
    assert (path.parent.name, folder.name) == ("d1", "d2")
    wrong, right = pl.read_parquet(path), pl.read_parquet(folder / path.name)
    assert wrong.drop("unit_price").equals(right.drop("unit_price"))
    assert (wrong["unit_price"] != right["unit_price"]).mean() > 0.9  # type: ignore[operator]


def test_extra_column(tmp_path: Path) -> None:
    _, path = faulty(tmp_path, "extra_column")
    assert pq.read_schema(path).names == [*SCHEMA.names, "till"]


def test_faults_need_enough_stores(tmp_path: Path) -> None:
    registry = tmp_path / "few.csv"
    pl.read_csv(SITES).head(17).write_csv(registry)
    with pytest.raises(ValueError, match="17 stores are too few for faults: give at least 18"):
        write_night(tmp_path, DST, rows=1_000, faults=True, sites=registry)


def test_command_prints_a_line_per_night(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(f"--landing {tmp_path} --date 2026-03-08 --nights 2 --rows 1000".split())
    lines = capsys.readouterr().out.splitlines()
    assert [line[:23] for line in lines] == ["2026-03-08: 1,000 rows,", "2026-03-09: 1,000 rows,"]
