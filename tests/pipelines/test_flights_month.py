from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from small_night import EXAMPLES
from typer.testing import CliRunner

from isopach.feeds.flights import UNLISTED_ZONE, load_flights, write_landing
from isopach.feeds.load import load_declaration
from isopach.jobs.cli import app
from isopach.jobs.nightly import feed_tables
from isopach.lake.commits import scan
from isopach.lake.places import Place

WHERE = ["_source", "_position"]
DAYS = [date(2013, 1, day) for day in range(1, min(EXAMPLES, 31) + 1)]
"""The first days of January; all of it with an `ISOPACH_EXAMPLES` of 31."""


def isopach(*arguments: str) -> tuple[int, Any]:
    """Run a command with `--json`; return its exit code and what it printed."""
    result = CliRunner().invoke(app, [*arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.slow
def test_january_is_published_and_proved(tmp_path: Path) -> None:
    landing, lake = tmp_path / "landing", tmp_path / "lake"
    write_landing(landing, month="2013-01")
    flights = load_flights().filter(pl.col("business_date").is_in(DAYS))
    place = ["--landing", str(landing), "--lake", str(lake)]
    code, month = isopach("nightly", "flights", *place, "--date", f"{DAYS[0]}..{DAYS[-1]}")
    assert code == 3
    assert len(month["nights"]) == len(DAYS)
    written = sum(night["read"] for night in month["nights"])
    assert written == len(flights)
    assert written == 26_997 or len(DAYS) < 31
    reasons = {held["reason"][:11] for night in month["nights"] for held in night["held"]}
    assert reasons == {"site is not", "not deliver"}

    code, proof = isopach("verify", "flights", "--lake", str(lake))
    assert (code, proof["findings"]) == (0, [])

    to = feed_tables(load_declaration("flights"))
    records = scan(Place.of(lake), to.records).collect()
    aside = scan(Place.of(lake), to.quarantine).collect()
    assert proof["records"] == records.height
    both = pl.concat([records.select(WHERE), aside.select(WHERE)])
    assert both.height == both.unique().height == written
    names = [f"{landing}/flights/{day}/*/d1/*.parquet" for day in DAYS]
    sent = (
        pl.scan_parquet(names, include_file_paths="file")
        .collect()
        .with_columns(
            _source=pl.col("file").str.strip_prefix(f"{landing}/flights/"),
            _position=pl.int_range(pl.len()).over("file"),
        )
    )
    assert sent.join(both, on=WHERE, how="anti").is_empty()

    unlisted = flights["zone"].eq(UNLISTED_ZONE) & ~flights["dest"].is_in(records["dest"].unique())
    cancelled = flights["departed_at"].is_null()
    assert records.height == (~unlisted & ~cancelled).sum()
    assert dict(aside.group_by("reason").len().iter_rows()) == {
        "missing": cancelled.sum(),
        "unknown_site": (unlisted & ~cancelled).sum(),
    }
    good = flights.filter(~unlisted & ~cancelled)
    columns = ["flight_id", "dest", "business_date", "departed_at", "dep_delay", "distance"]
    assert records.select(columns).sort(columns).equals(good.select(columns).sort(columns))
