"""Nights killed with -9, and run again: the tables are those of a night that nobody disturbed.

`ISOPACH_KILLS` says at how many moments; 8 if it is not set. Of steps see `disturbed.numbers`.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from children import KILLED, Forks, before_steps
from small_night import DAY, SmallNight, assert_same, declare, row, rows

KILLS = int(os.environ.get("ISOPACH_KILLS", "8"))
SEED = 20260308
EARLIER = DAY - timedelta(1)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A lake with two nights, of which the later is to be run again: sites delivered anew.

    One site is held and will settle, one is settled and will be held, one brings other rows, one
    is as it was; rows of every disposition are there before and after.
    """
    folder = tmp_path_factory.mktemp("before")
    night = SmallNight(folder, declare(folder))
    for day, hour in ((EARLIER, "2026-03-08T20:00:00Z"), (DAY, "2026-03-09T20:00:00Z")):
        for site in ("nyc", "kathmandu", "kiritimati", "pago"):
            sent = [{**one, "at": one["at"].replace(f"{DAY}", f"{day}")} for one in rows(site, 6)]
            sent += [sent[0], {**row(site, "bad"), "fee": "x"}]
            sent.append(row(site, "late", at="2026-01-01T00:00:00Z"))
            night.deliver(site, sent, day=day, at=hour, rows=99 if site == "pago" else -1)
        night.run(day)
    later: dict[str, Any] = {"name": "d2", "at": "2026-03-10T00:00:00Z"}
    night.deliver("nyc", [*rows("nyc", 4, first=3), row("nyc", "bad", fee="y")], **later)
    night.deliver("pago", [*rows("pago", 5), *rows("pago", 1)], **later)
    night.deliver("kiritimati", rows("kiritimati", 2), rows=3, **later)
    return night


def copied(night: SmallNight, folder: Path) -> SmallNight:
    """Return a copy of a lake, its landing zone and its declaration."""
    shutil.copytree(night.folder, folder)
    return SmallNight(folder, night.declaration)


Content = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def undisturbed(
    before: SmallNight, forks: Forks, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Content, float]:
    """What the tables say after a night that nobody disturbed, and how long it took."""
    times = []
    for number in range(3):
        night = copied(before, tmp_path_factory.mktemp("undisturbed") / f"{number}")
        ended = forks.night(night)
        assert ended.code == 0
        times.append(ended.seconds)
    assert night.findings() == []
    after = night.content()
    windows = after["windows"].filter(business_date=DAY)
    assert dict(windows.select("site", "state").rows()) == {
        "nyc": "settled", "kathmandu": "settled", "pago": "settled", "kiritimati": "settled"
    }  # fmt: skip
    assert windows.filter(site="kiritimati")["reason"].to_list() == ["declared 3 rows, read 2 (-1)"]
    for table in ("records", "quarantine", "totals_by_minutes"):
        assert not after[table].equals(before.content()[table])
    return after, sorted(times)[1]


def check_killed(night: SmallNight, before: Content, after: Content) -> None:
    """Check that a killed night left the records whole: all as before, or all as they will be."""
    found = night.content()
    assert found["records"].equals(before["records"]) or found["records"].equals(after["records"])
    earlier = pl.col("business_date") == EARLIER
    for name, table in found.items():
        assert table.filter(earlier).equals(before[name].filter(earlier)), name


def check_again(night: SmallNight, forks: Forks, after: Content) -> None:
    """Run a night that was killed again, and check that all is as if nothing had been."""
    assert forks.night(night).code == 0
    assert_same(after, night.content())
    assert night.findings() == []
    runs = night.table("runs")
    assert runs["run"].is_unique().all()


def moments() -> Iterator[float]:
    """Yield shares of a night to kill at: half over the whole of it, half over its last third."""
    draw = random.Random(SEED)
    while True:
        yield draw.uniform(0, 1)
        yield draw.uniform(2 / 3, 1)


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again(
    before: SmallNight, undisturbed: tuple[Content, float], forks: Forks, tmp_path: Path
) -> None:
    after, seconds = undisturbed
    was, shortest = before.content(), [seconds]  # others on the machine may stop: nights shorten

    def killed(kill: tuple[int, float]) -> bool:
        number, share = kill
        night = copied(before, tmp_path / f"{number}")
        code, lived = forks.night(night, seconds=share * min(shortest))
        assert code in (KILLED, 0)
        if code == 0:
            shortest.append(lived)
        check_killed(night, was, after)
        check_again(night, forks, after)
        shutil.rmtree(night.folder)
        return bool(code == KILLED)

    found, drawn = 0, enumerate(moments())
    with ThreadPoolExecutor(2) as pool:
        while found < KILLS:
            found += sum(pool.map(killed, [next(drawn) for _ in range(KILLS - found)]))
    assert found == KILLS
    assert next(drawn)[0] < 2 * KILLS  # else the moments were after the end


@pytest.mark.slow
def test_killed_before_each_step_and_run_again(
    before: SmallNight, undisturbed: tuple[Content, float], forks: Forks, tmp_path: Path
) -> None:
    after, was = undisturbed[0], before.content()

    def killed(step: int) -> bool:
        night = copied(before, tmp_path / f"{step}")
        code = forks.night(night, die=step).code
        assert code in (KILLED, 0)
        check_killed(night, was, after)
        check_again(night, forks, after)
        return bool(code == KILLED)

    assert before_steps(killed, 3) >= 9


@pytest.mark.slow
def test_killed_again_and_again_before_it_ends(
    before: SmallNight, undisturbed: tuple[Content, float], forks: Forks, tmp_path: Path
) -> None:
    after, seconds = undisturbed
    night = copied(before, tmp_path / "again")
    draw = random.Random(SEED)
    codes = [forks.night(night, die=draw.randrange(4, 12)).code for _ in range(4)]
    codes += [forks.night(night, seconds=draw.uniform(0, seconds)).code for _ in range(3)]
    assert codes.count(KILLED) >= 4
    check_killed(night, before.content(), after)
    check_again(night, forks, after)


@pytest.mark.slow
def test_killed_in_the_first_night_of_a_lake(
    before: SmallNight, forks: Forks, tmp_path: Path
) -> None:
    def first(name: str) -> SmallNight:
        night = copied(before, tmp_path / name)
        shutil.rmtree(night.lake.path)
        return night

    undisturbed = first("undisturbed")
    assert forks.night(undisturbed).code == 0
    after = undisturbed.content()
    assert not after["records"].is_empty()

    def killed(step: int) -> None:
        night = first(f"{step}")
        assert forks.night(night, die=step).code == KILLED
        records = night.content()["records"]
        assert records.is_empty() or records.equals(after["records"])
        check_again(night, forks, after)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(killed, range(1, 17, 3)))
