"""What rows set aside said is forgotten; that they were there is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from small_night import SmallNight, declare, row, rows

from isopach.jobs.nightly import feed_tables
from isopach.lake.forgetting import forget_texts


def night(folder: Path) -> SmallNight:
    made = SmallNight(folder, declare(folder))
    made.deliver("nyc", [*rows("nyc", 3), row("nyc", "bad", minutes="many")])
    made.run(only=frozenset({"nyc"}))
    return made


def texts(made: SmallNight) -> list[tuple[str | None, str | None]]:
    return made.table("quarantine").select("raw", "key").rows()


def test_old_rows_are_emptied_and_still_accounted_for(tmp_path: Path) -> None:
    made = night(tmp_path)
    aside = feed_tables(made.declaration).quarantine
    before = made.table("quarantine").drop("raw", "key")
    assert forget_texts(made.lake, aside, datetime.now(UTC) - timedelta(days=1)) == 0
    assert texts(made)[0][1] == "bad"
    assert forget_texts(made.lake, aside, datetime.now(UTC)) == 1
    assert texts(made) == [(None, None)]
    assert made.table("quarantine").drop("raw", "key").equals(before)
    assert forget_texts(made.lake, aside, datetime.now(UTC)) == 0
    assert made.findings() == []


def test_a_night_forgets_what_its_feed_keeps_no_longer(tmp_path: Path) -> None:
    made = night(tmp_path).declared(quarantine={"keep": "0s"})
    assert texts(made)[0][1] == "bad"
    made.deliver("pago", rows("pago", 2))
    made.run(only=frozenset({"pago"}))
    assert texts(made) == [(None, None)]
