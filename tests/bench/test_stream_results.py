from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

import bench.__main__ as cli
from bench.page import sections, write_section
from bench.stream import race as streams
from bench.stream.latency import summary
from bench.stream.peer import StreamPeer, named
from bench.stream.report import figures, section
from bench.stream.result import Drain, Latency, Streams
from bench.stream.rows import expected, mismatch
from bench.stream.visible import SECOND, Visible
from bench.table import grid

MADE = datetime(2026, 11, 24, 12, tzinfo=UTC)
SALE = {
    "event_id": "S001-20260308-1",
    "store": "S001",
    "sold_at": "2026-11-24T13:00:00.000001+01:00",
    "sku": "SKU-1",
    "quantity": 3,
    "unit_price": "1.25",
    "customer": None,
}
ROW = SALE | {"sold_at": MADE.replace(microsecond=1), "unit_price": Decimal("1.25")}


def appended(table: Path, *rows: dict[str, object], seconds: float = 0) -> Path:
    """Append rows to a table, and have their version's log file be written so late."""
    frame = pl.DataFrame(list(rows)).cast({pl.Null: pl.String})
    write_deltalake(table, frame, mode="append")
    log = max((table / "_delta_log").glob("*.json"))
    moment = int((MADE.timestamp() + seconds) * SECOND)
    os.utime(log, ns=(moment, moment))
    return table


def event(number: int, second: int, day: str = "20260308") -> dict[str, object]:
    """Return an event that was made so many seconds after the first."""
    sold_at = datetime.fromtimestamp(MADE.timestamp() + second, UTC)
    return {"event_id": f"S001-{day}-{number}", "sold_at": sold_at}


def lines(folder: Path, *sales: dict[str, object]) -> Path:
    """Write sales as the lines of a topic."""
    path = folder / "lines.parquet"
    pl.DataFrame({"line": [json.dumps(sale) for sale in sales]}).write_parquet(path)
    return path


def test_latency_is_from_the_event_to_the_version_that_has_it_first(tmp_path: Path) -> None:
    appended(tmp_path, event(0, -60, "20260307"), event(1, 0), seconds=1)
    appended(tmp_path, *(event(second, second) for second in range(5, 9)), seconds=10)
    appended(tmp_path, event(8, 8), event(9, 9), seconds=11)
    visible = Visible(tmp_path)
    assert visible.look() == 8
    result = summary("peer", 1, visible, 90.0)
    assert (result.rows, result.commits) == (5, 2)
    assert (result.p50, result.p99, result.longest) == (3.0, 5.0, 5.0)


def test_versions_are_read_as_they_come(tmp_path: Path) -> None:
    visible = Visible(tmp_path)
    assert visible.look() == 0
    appended(tmp_path, event(1, 0))
    assert visible.look() == 1
    appended(tmp_path, event(2, 0))
    assert visible.look() == 2
    assert [version.number for version in visible.versions] == [0, 1]


def test_a_version_that_joins_files_adds_no_rows(tmp_path: Path) -> None:
    for number in range(3):
        appended(tmp_path, event(number, number), seconds=number + 1)
    assert DeltaTable(tmp_path).optimize.compact()["numFilesRemoved"] == 3
    visible = Visible(tmp_path)
    assert visible.look() == 3
    assert [version.number for version in visible.versions] == [0, 1, 2]


def test_a_table_with_the_topics_complete_events_is_equal(tmp_path: Path) -> None:
    topic = lines(tmp_path, SALE, SALE | {"event_id": "no sku", "sku": None})
    table = appended(tmp_path / "table", ROW)
    assert expected(topic).rows == 1
    assert mismatch(topic, expected(topic), table) == ""


@pytest.mark.parametrize(
    "rows",
    [
        [ROW, ROW],
        [ROW | {"event_id": "other"}],
        [ROW | {"sold_at": MADE}],
        [ROW | {"unit_price": Decimal("1.26")}],
        [ROW | {"quantity": None}],
    ],
)
def test_other_rows_are_told_of(rows: list[dict[str, object]], tmp_path: Path) -> None:
    topic = lines(tmp_path, SALE)
    table = appended(tmp_path / "table", *rows)
    assert "1 extra" in mismatch(topic, expected(topic), table)


def test_no_table_at_all_is_a_mismatch(tmp_path: Path) -> None:
    topic = lines(tmp_path, SALE)
    assert mismatch(topic, expected(topic), tmp_path / "none").startswith("TableNotFoundError")


FOUND = Streams(
    seconds=30,
    backlog=5_000_000,
    latencies=(
        Latency("isopach-micro", 1000, 30_000, 0.3, 0.5, 0.6, 90, 300.0),
        Latency("spark", 1000, 30_000, 1.5, 2.0, 3.0, 20, 1500.0),
        Latency("isopach-micro", 5000, error="exit 1: no disk"),
    ),
    drains=(
        Drain("isopach-micro", 5_000_000, 2.0, 25.0, 10, 900.0, 800.0),
        Drain("plain-loop", 5_000_000, 1.0, 20.0, 25, 400.0, 300.0),
    ),
    skipped={"isopach-continuous": "no Prism"},
)


def test_the_section_tells_the_promised_figures() -> None:
    assert figures(FOUND) == [
        ("isopach-micro, p99 seconds at 1,000 rows/s", "0.50", "< 2"),
        ("isopach-micro / spark, p99 at 1,000 rows/s", "0.25", "≤ 0.5"),
        ("isopach-micro / plain-loop, rows/s of 5,000,000", "0.80", "≥ 0.8"),
    ]
    text = section(FOUND, "python -m bench stream")
    assert grid(("figure", "measured", "promised"), figures(FOUND)) in text
    assert "| isopach-micro | 0.30 | 0.50 | 0.60 | 30,000 | 90 | 300 | yes |" in text
    assert "| isopach-micro | 25.00 | 1.25 | 200,000 | 2.00 | 23.00 | 10 | 900 | yes |" in text
    assert "isopach-continuous was left out: no Prism" in text
    assert "isopach-micro failed: exit 1: no disk" in text


def test_a_failed_peer_is_not_equal() -> None:
    assert not FOUND.equal
    assert FOUND.document()["latency"][2]["error"] == "exit 1: no disk"
    assert FOUND.document()["latency"][2]["equal"] is False


def test_the_command_prints_json_or_writes_the_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "race", lambda peers, course, say: FOUND)
    page = tmp_path / "RESULTS.md"
    result = CliRunner().invoke(cli.app, ["stream", "--json", "--to", str(page)])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == FOUND.document()
    assert not page.exists()
    result = CliRunner().invoke(cli.app, ["stream", "--to", str(page)])
    assert result.exit_code == 1
    assert "python -m bench stream --rate 1000 --rate 5000 --seconds 30" in page.read_text()


def test_a_section_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    write_section(page, "Streams", "### One\n\nfirst")
    write_section(page, "Nights", "nights")
    write_section(page, "Streams", "### Two\n\nsecond")
    assert sections(page.read_text()) == {"Nights": "nights", "Streams": "### Two\n\nsecond"}
    assert page.read_text().startswith("# Results\n\n## Nights\n\nnights\n\n## Streams\n\n### Two")


def test_a_peer_that_cannot_run_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = StreamPeer("absent", "bench.peers.absent", missing=lambda: "not built")
    assert streams.able([absent, *named("plain-loop")]) == (
        named("plain-loop"),
        {"absent": "not built"},
    )


def test_an_unknown_peer_is_bad_usage() -> None:
    result = CliRunner().invoke(cli.app, ["stream", "--peers", "plain-loop,storm"])
    assert result.exit_code == 2
    assert "no peer called storm" in result.stderr
    with pytest.raises(ValueError, match="there are isopach-micro, isopach-continuous, plain-loop"):
        named("storm")
