"""A night of made-up sales, against a reading of the same files row by row in plain Python."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest
from rich.console import Console

from isopach.feeds.load import load_declaration
from isopach.feeds.sales import write_night
from isopach.feeds.sales_truth import Truth
from isopach.jobs.delivered import Deliveries
from isopach.jobs.nightly import Options, Summary, feed_tables, run_night
from isopach.jobs.progress import Progress
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.lake.windows import checksum_text
from isopach.pipelines.verify import verify
from isopach.transforms.checksum import checksum

DAY = date(2026, 3, 8)
DECLARATION = load_declaration("sales")
FEED = DECLARATION.feed
TO = feed_tables(DECLARATION)
ZONES = {site.site: ZoneInfo(site.time_zone) for site in DECLARATION.sites}
FIGURES = ("read", "accepted", "rejected", "late", "duplicate")


@dataclass(frozen=True)
class Ran:
    """A night that was run: its lake, what it reported and what its files were made to hold."""

    landing: Path
    lake: Place
    summary: Summary
    truth: Truth

    def table(self, table: tables.Table) -> pl.DataFrame:
        return scan(self.lake, table).collect()


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("sales")
    truth = write_night(folder / "landing", DAY, rows=20_000, faults=True)
    landing, lake = Place.of(folder / "landing"), Place.of(folder / "lake")
    silent = Progress(Console(quiet=True))
    summary = run_night(DECLARATION, Deliveries(landing), lake, DAY, Options(), silent)
    return Ran(folder / "landing" / "sales", lake, summary, truth)


@dataclass
class Expected:
    """What must become of a store's rows: kept, and set aside by file and row with the reason."""

    declared: int | None = None
    kept: list[dict[str, Any]] = field(default_factory=list)
    aside: dict[tuple[str, int], str] = field(default_factory=dict)
    torn: bool = False

    @property
    def read(self) -> int:
        return len(self.kept) + len(self.aside)

    @property
    def held(self) -> bool:
        wrong = self.declared is not None and self.declared != self.read
        reasons = Counter(self.aside.values())
        looked_at = len(self.kept) + reasons[BETWEEN] + reasons["duplicate_key"]
        gated = reasons[BETWEEN] > TOLERATED * looked_at
        return self.torn or wrong or gated or (self.read == 0 and self.declared != 0)


@pytest.fixture(scope="module")
def expected(night: Ran) -> dict[str, Expected]:
    return {
        folder.name: read_store(folder, night.landing)
        for folder in sorted((night.landing / f"{DAY}").iterdir())
    }


def read_store(folder: Path, landing: Path) -> Expected:
    """Judge each row of a store's newest delivery."""
    manifests = [json.loads(path.read_text()) for path in folder.glob("*/manifest.json")]
    newest = max(manifests, key=lambda manifest: datetime.fromisoformat(manifest["delivered_at"]))
    found = Expected(newest["rows"])
    seen: set[str] = set()
    for file in newest["files"]:
        path = folder / newest["delivery"] / file["name"]
        source = path.relative_to(landing).as_posix()
        try:
            sent = list(rows_in(path))
        except (pl.exceptions.ComputeError, OSError):
            found.torn = True
            continue
        for number, given in enumerate(sent):
            reason, row = judge(given, folder.name, seen)
            if reason:
                found.aside[source, number] = reason
            else:
                found.kept.append({**row, "_source": source, "_position": number})
    return found


def rows_in(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield a file's rows; None for a line that is not JSON."""
    if path.suffix == ".parquet":
        yield from pl.read_parquet(path).iter_rows(named=True)
    elif ".csv" in path.suffixes:
        content = path.read_bytes()
        plain = gzip.decompress(content) if path.suffix == ".gz" else content
        yield from pl.read_csv(plain, infer_schema=False).iter_rows(named=True)
    else:
        with pa.input_stream(path, compression="detect") as stream:
            for line in stream.read().decode().splitlines():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    yield None


def judge(given: dict[str, Any] | None, store: str, seen: set[str]) -> tuple[str, dict[str, Any]]:
    """Return why a row is set aside (empty if it is not), and the row as it is kept."""
    if given is None:
        return "not_json", {}
    row: dict[str, Any] = {name: given.get(name) for name in FEED.columns}
    try:
        if isinstance(row["sold_at"], str):
            row["sold_at"] = datetime.fromisoformat(row["sold_at"])
        row["quantity"] = int(row["quantity"])
        row["unit_price"] = Decimal(row["unit_price"])
    except (ValueError, InvalidOperation):
        return "malformed", row
    if row["sku"] is None:
        return "missing", row
    if row["store"] not in ZONES:
        return "unknown_site", row
    local = row["sold_at"].astimezone(ZONES[store]).date()
    if local != DAY:
        return "earlier_business_date" if local < DAY else "outside_window", row
    if row["event_id"] in seen:
        return "duplicate_key", row
    if row["quantity"] < 1:
        return BETWEEN, row
    seen.add(row["event_id"])
    row["sold_at"] = row["sold_at"].astimezone(UTC)
    return "", {**row, "revenue": row["quantity"] * row["unit_price"]}


BETWEEN = "expect_column_values_to_be_between"
TOLERATED = 0.02
"""The share of quantities that the suite lets be out of bounds."""
KINDS = {
    "duplicate": ("duplicate", "duplicate_key"),
    "null_sku": ("rejected", "missing"),
    "malformed": ("rejected", "malformed"),
    "not_json": ("rejected", "not_json"),
    "unknown_store": ("rejected", "unknown_site"),
    "late": ("late", "earlier_business_date"),
    "early": ("rejected", "outside_window"),
    "zero_quantity": ("rejected", BETWEEN),
}
HOLDING = {
    "zero_rows": "no rows, and the manifest does not declare zero",
    "not_delivered": "not delivered, due ",
    "truncated": "unreadable file: part-0000.parquet: ",
    "wrong_count": "declared ",
    "zero_quantity": f"{BETWEEN}(quantity): ",
}
HARMLESS = {"corrected", "extra_column"}


def test_every_faulty_row_is_set_aside_for_its_reason_and_no_other(night: Ran) -> None:
    faults = night.truth.faults.filter(pl.col("kind").is_in(list(KINDS)))
    assert set(faults["kind"]) == set(KINDS)
    injected = {
        (file.removeprefix("sales/"), row, *KINDS[kind])
        for kind, file, row in faults.select("kind", "file", "row").iter_rows()
    }
    assert len(injected) == faults.height
    aside = night.table(TO.quarantine).filter(pl.col("disposition") != "unreadable")
    found = aside.select("_source", "_position", "disposition", "reason").rows()
    assert sorted(found) == sorted(injected)


def test_quarantine_says_which_column_and_key(night: Ran) -> None:
    aside = night.table(TO.quarantine)
    columns = dict(
        aside.group_by("reason").agg(pl.col("column").unique().drop_nulls().sort()).iter_rows()
    )
    assert columns == {
        "duplicate_key": ["event_id"],
        "missing": ["sku"],
        "malformed": ["quantity", "sold_at", "unit_price"],
        "not_json": [],
        "unknown_site": ["store"],
        "earlier_business_date": ["sold_at"],
        "outside_window": ["sold_at"],
        "unreadable_file": [],
        BETWEEN: ["quantity"],
    }
    faults = night.truth.faults.filter(pl.col("event_id").is_not_null()).with_columns(
        _source=pl.col("file").str.strip_prefix("sales/"), _position="row"
    )
    both = faults.join(aside, on=["_source", "_position"])
    assert both.height == faults.height
    assert (both["key"] == both["event_id"]).all()


def test_raw_rows_are_as_they_were_sent(night: Ran) -> None:
    aside = night.table(TO.quarantine)
    texts = {}
    for source, position, reason, raw in aside.select(
        "_source", "_position", "reason", "raw"
    ).iter_rows():
        if reason == "unreadable_file":
            continue
        if source not in texts:
            texts[source] = list(rows_in(night.landing / source))
        sent = texts[source][position]
        if sent is None:
            assert reason == "not_json"
            with pytest.raises(json.JSONDecodeError):
                json.loads(raw)
        else:
            assert json.loads(raw)["event_id"] == sent["event_id"]


def test_each_faulty_store_is_held_for_its_reason_and_no_other(night: Ran) -> None:
    faults = night.truth.faults.filter(pl.col("kind").is_in(list(HOLDING)))
    assert set(faults["kind"]) == set(HOLDING)
    injected = dict(faults.select("site", "kind").unique().iter_rows())
    held = {item["site"]: item["reason"] for item in night.summary.held}
    assert held.keys() == injected.keys()
    for site, reason in held.items():
        assert reason.startswith(HOLDING[injected[site]])
    assert set(night.truth.faults["kind"]) == {*KINDS, *HOLDING, *HARMLESS}


def test_unreadable_files_stand_in_quarantine(night: Ran) -> None:
    torn = night.truth.faults.filter(kind="truncated")["file"].str.strip_prefix("sales/")
    aside = night.table(TO.quarantine).filter(disposition="unreadable")
    assert aside["_source"].sort().to_list() == torn.sort().to_list()
    assert aside["_position"].null_count() == aside.height


def test_exactly_the_good_rows_are_accepted(night: Ran, expected: dict[str, Expected]) -> None:
    records = night.table(TO.records)
    assert records.height == night.truth.accepted == night.summary.accepted - held_rows(expected)
    kept = [
        row | {"site": store, "business_date": DAY, "_mode": "batch", "_run": night.summary.run}
        for store, of_store in expected.items()
        if not of_store.held
        for row in of_store.kept
    ]
    wanted = pl.DataFrame(kept, schema=records.schema)
    order = ["_source", "_position"]
    assert records.sort(order).equals(wanted.sort(order))


def held_rows(expected: dict[str, Expected]) -> int:
    return sum(len(of_store.kept) for of_store in expected.values() if of_store.held)


def test_reasons_are_those_of_the_plain_reading(night: Ran, expected: dict[str, Expected]) -> None:
    aside = night.table(TO.quarantine).filter(pl.col("disposition") != "unreadable")
    wanted = {place: why for of_store in expected.values() for place, why in of_store.aside.items()}
    found = {
        (source, position): reason
        for source, position, reason in aside.select("_source", "_position", "reason").iter_rows()
    }
    assert found == wanted


def test_counts_and_checksums(night: Ran, expected: dict[str, Expected]) -> None:
    counts = {row["site"]: row for row in night.table(tables.COUNTS).iter_rows(named=True)}
    assert counts.keys() - expected.keys() == set(
        night.truth.faults.filter(kind="not_delivered")["site"]
    )
    for store, wanted in expected.items():
        found, reasons = counts[store], Counter(wanted.aside.values())
        duplicate, late = reasons.pop("duplicate_key", 0), reasons.pop("earlier_business_date", 0)
        assert [found[name] for name in FIGURES] == [
            wanted.read,
            len(wanted.kept),
            reasons.total(),
            late,
            duplicate,
        ]
        assert found["declared"] == wanted.declared
        rows = pa.Table.from_pylist(wanted.kept, FEED.payload)
        assert found["checksum"] == checksum_text(*checksum(rows, FEED.payload.names))


def test_windows(night: Ran, expected: dict[str, Expected]) -> None:
    windows = night.table(tables.WINDOWS)
    assert windows.height == len(DECLARATION.sites) == night.summary.sites
    for row in windows.iter_rows(named=True):
        wanted = expected.get(row["site"])
        if wanted is None or wanted.held:
            assert (row["state"], row["rows"], row["settled_by"]) == ("held", 0, None)
            assert row["reason"]
        else:
            assert (row["state"], row["rows"]) == ("settled", len(wanted.kept))
            assert (row["settled_by"], row["reason"]) == (night.summary.run, None)


def test_totals(night: Ran, expected: dict[str, Expected]) -> None:
    sums: dict[tuple[str, str], list[Any]] = {}
    for store, of_store in expected.items():
        for row in of_store.kept if not of_store.held else ():
            group = sums.setdefault((store, row["sku"]), [0, 0, Decimal(0)])
            group[:] = group[0] + 1, group[1] + row["quantity"], group[2] + row["revenue"]
    columns = ["site", "sku", "sales", "quantity", "revenue"]
    found = night.table(TO.totals["by_sku"]).select(columns).sort(columns).rows()
    assert found == sorted((*group, *values) for group, values in sums.items())


def test_the_report_adds_up(night: Ran, expected: dict[str, Expected]) -> None:
    summary = night.summary
    assert summary.outcome == "held"
    assert summary.read == sum(of_store.read for of_store in expected.values())
    assert summary.read == sum(getattr(summary, name) for name in FIGURES[1:])
    assert (summary.sites, summary.settled + len(summary.held)) == (200, 200)
    assert summary.awaited == []
    (run,) = night.table(tables.RUNS).iter_rows(named=True)
    assert (run["run"], run["outcome"], run["feed"]) == (summary.run, "held", "sales")
    assert run["started"] < run["ended"]
    assert json.loads(run["versions_out"])["sales/records"] == summary.version


def test_the_tables_prove_themselves(night: Ran) -> None:
    proof = verify(night.lake, FEED, TO, None)
    assert proof.findings == []
    assert (proof.windows, proof.settled, proof.records) == (200, 195, night.truth.accepted)
