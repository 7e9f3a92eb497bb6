from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from small_night import DAY, SmallNight, declare, row, rows
from tampering import Lake

from isopach.jobs.nightly import feed_tables
from isopach.pipelines import verify as module
from isopach.pipelines.verify import verify

NEXT = DAY + timedelta(1)
SITES = frozenset({"nyc", "kathmandu", "pago"})


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """Two nights of two settled sites and one that is held, with rows of every disposition."""
    folder = tmp_path_factory.mktemp("good")
    night = SmallNight(folder, declare(folder))
    for day in (DAY, NEXT):
        sent = [*rows("nyc", 6), *rows("nyc", 2), row("nyc", "bad", minutes="x")]
        sent = [{**one, "at": f"{day}T16:00:00Z"} for one in sent]
        sent.append(row("nyc", "late", at="2026-03-01T12:00:00Z"))
        night.deliver("nyc", sent, day=day)
        sent = [{**one, "at": f"{day}T06:15:00Z"} for one in rows("kathmandu", 4)]
        night.deliver("kathmandu", sent, day=day)
        night.deliver("pago", rows("pago", 2), day=day, rows=9)
        night.run(day, only=SITES)
    return night


@pytest.fixture
def lake(good: SmallNight, tmp_path: Path) -> Lake:
    shutil.copytree(good.folder / "lake", tmp_path / "lake")
    return Lake(SmallNight(tmp_path, good.declaration))


RECORDS, ASIDE, BY_MINUTES = "visits/records", "visits/quarantine", "visits/totals_by_minutes"
WINDOWS, COUNTS = "ledger/windows", "ledger/counts"
NYC = f"site = 'nyc' and business_date = '{DAY}'"
OF_NYC = (pl.col("site") == "nyc") & (pl.col("business_date") == DAY)


def test_a_good_lake_is_proved(good: SmallNight) -> None:
    to = feed_tables(good.declaration)
    proof = verify(good.lake, good.declaration.feed, to, None)
    assert proof.findings == []
    assert (proof.windows, proof.settled, proof.records, proof.quarantined) == (6, 4, 20, 10)
    proof = verify(good.lake, good.declaration.feed, to, NEXT)
    assert (proof.windows, proof.settled, proof.records, proof.quarantined) == (3, 2, 10, 6)
    proof = verify(good.lake, good.declaration.feed, to, date(2020, 1, 1))
    assert (proof.windows, proof.records, proof.findings) == (0, 0, [])


def test_rows_set_aside_of_a_held_window_are_proved_too(lake: Lake) -> None:
    lake.delete(ASIDE, f"site = 'pago' and business_date = '{NEXT}'")
    assert lake.checks(NEXT) == {"quarantine", "positions"}


def test_a_lake_without_tables_has_nothing_to_prove(night: SmallNight) -> None:
    proof = verify(night.lake, night.declaration.feed, feed_tables(night.declaration), None)
    assert (proof.windows, proof.records, proof.findings) == (0, 0, [])


def test_windows_are_looked_at_in_chunks(
    good: SmallNight, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 1)
    assert good.findings() == []
    lake.delete(RECORDS, f"{NYC} and id = 'nyc-3'")
    assert lake.windows() == {("nyc", DAY)}


TAMPERED: dict[str, tuple[Callable[[Lake], None], set[str]]] = {
    "a record is deleted": (
        lambda lake: lake.delete(RECORDS, f"{NYC} and id = 'nyc-3'"),
        {"records", "checksum", "positions", "totals"},
    ),
    "the last record of a file is deleted": (
        lambda lake: lake.delete(RECORDS, f"{NYC} and id = 'nyc-5'"),
        {"records", "checksum", "positions", "totals"},
    ),
    "all records of a window are deleted": (
        lambda lake: lake.delete(RECORDS, NYC),
        {"records", "checksum", "positions", "totals"},
    ),
    "a record is doubled": (
        lambda lake: lake.add(RECORDS, OF_NYC),
        {"records", "checksum", "positions", "totals", "unique"},
    ),
    "a record is doubled under another key": (
        lambda lake: lake.add(RECORDS, OF_NYC, id="new"),
        {"records", "checksum", "positions", "totals"},
    ),
    "a text changes": (
        lambda lake: lake.update(RECORDS, f"{NYC} and id = 'nyc-3'", note="x"),
        {"checksum"},
    ),
    "a measured value changes": (
        lambda lake: lake.update(RECORDS, f"{NYC} and id = 'nyc-3'", fee="99.00"),
        {"checksum", "totals"},
    ),
    "a record takes the key of another": (
        lambda lake: lake.update(RECORDS, f"{NYC} and id = 'nyc-3'", id="nyc-1"),
        {"checksum", "unique"},
    ),
    "a record says another position": (
        lambda lake: lake.update(RECORDS, f"{NYC} and id = 'nyc-3'", _position=1),
        {"positions"},
    ),
    "a record moves to another site": (
        lambda lake: lake.update(RECORDS, f"{NYC} and id = 'nyc-3'", site="kathmandu"),
        {"records", "checksum", "positions", "totals"},
    ),
    "a rejected row is deleted": (
        lambda lake: lake.delete(ASIDE, f"{NYC} and disposition = 'rejected'"),
        {"quarantine", "positions"},
    ),
    "a duplicate is deleted": (
        lambda lake: lake.delete(ASIDE, f"{NYC} and disposition = 'duplicate' and _position = 7"),
        {"quarantine", "positions"},
    ),
    "a late row is doubled": (
        lambda lake: lake.add(ASIDE, OF_NYC & (pl.col("disposition") == "late")),
        {"quarantine", "positions"},
    ),
    "a late row is called rejected": (
        lambda lake: lake.update(ASIDE, f"{NYC} and disposition = 'late'", disposition="rejected"),
        {"quarantine"},
    ),
    "a record is in quarantine too": (
        lambda lake: lake.add(
            ASIDE, OF_NYC & (pl.col("disposition") == "late"), _position=0, disposition="rejected"
        ),
        {"quarantine", "positions"},
    ),
    "the count of rows read is edited": (
        lambda lake: lake.update(COUNTS, NYC, read=99),
        {"conservation", "declared", "positions"},
    ),
    "the count of accepted rows is edited": (
        lambda lake: lake.update(COUNTS, NYC, accepted=7),
        {"conservation", "records"},
    ),
    "the count of rejected rows is edited": (
        lambda lake: lake.update(COUNTS, NYC, rejected=2),
        {"conservation", "quarantine"},
    ),
    "the declared count is edited": (
        lambda lake: lake.update(COUNTS, NYC, declared=9),
        {"declared"},
    ),
    "counts are deleted": (lambda lake: lake.delete(COUNTS, NYC), {"counts"}),
    "counts are doubled": (lambda lake: lake.add(COUNTS, OF_NYC), {"counts"}),
    "a window's rows are edited": (
        lambda lake: lake.update(WINDOWS, NYC, rows=7),
        {"records"},
    ),
    "a window's checksum is edited": (
        lambda lake: lake.update(WINDOWS, NYC, checksum="0" * 32),
        {"checksum"},
    ),
    "a window is doubled": (lambda lake: lake.add(WINDOWS, OF_NYC), {"ledger"}),
    "a window is deleted": (lambda lake: lake.delete(WINDOWS, NYC), {"ledger"}),
    "a total changes": (
        lambda lake: lake.update(BY_MINUTES, f"{NYC} and minutes = 1", visits=3),
        {"totals"},
    ),
    "a sum changes": (
        lambda lake: lake.update(BY_MINUTES, f"{NYC} and minutes = 1", fee="3.01"),
        {"totals"},
    ),
    "a total is deleted": (
        lambda lake: lake.delete(BY_MINUTES, f"{NYC} and minutes = 1"),
        {"totals"},
    ),
    "a total is doubled": (lambda lake: lake.add(BY_MINUTES, OF_NYC), {"totals"}),
    "a total of no records is there": (
        lambda lake: lake.add(BY_MINUTES, OF_NYC, minutes=77),
        {"totals"},
    ),
}


@pytest.mark.parametrize("tampering", TAMPERED)
def test_tampering_is_found_by_the_right_checks(lake: Lake, tampering: str) -> None:
    tamper, expected = TAMPERED[tampering]
    tamper(lake)
    assert lake.checks() == expected
    others = {("kathmandu", DAY)} if "another site" in tampering else set()
    assert lake.windows() - others == {("nyc", DAY)}
    assert lake.checks(DAY) == expected
    assert lake.checks(NEXT) == set()


def test_records_of_a_window_the_ledger_does_not_know(lake: Lake) -> None:
    lake.add(RECORDS, OF_NYC, site="kiritimati")
    (finding,) = lake.night.findings()
    assert (finding.check, finding.site, finding.business_date) == ("ledger", "kiritimati", DAY)
    assert finding.message == "1 records of a window the ledger does not know"


def test_records_of_a_window_that_is_held(lake: Lake) -> None:
    lake.add(RECORDS, OF_NYC, site="pago")
    assert "checksum" in lake.checks()
    assert lake.windows() == {("pago", DAY)}


def test_findings_quote_both_figures(lake: Lake) -> None:
    lake.delete(RECORDS, f"{NYC} and id = 'nyc-3'")
    messages = {found.check: found.message for found in lake.night.findings()}
    assert messages["records"] == (
        "visits/records has 5, ledger/counts 6 accepted, ledger/windows 6"
    )
    assert messages["positions"].endswith("have 9 rows, ledger/counts 10 read")
