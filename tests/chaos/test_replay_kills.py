"""Replays killed with -9 before any step: the next run finishes what they had put into records."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from children import KILLED, Forks, before_steps
from small_night import row
from small_replay import Mended
from small_stream import assert_same_streams, line

SITES = frozenset({"nyc", "kathmandu"})


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Mended:
    """A lake by rules that are mended since: two settled windows, and a stream's."""
    lake = Mended.begun(tmp_path_factory.mktemp("before"))
    for site in SITES:
        lake.deliver(site, [row(site, "a", note="n"), row(site, "b"), row(site, "c", fee="x")])
    lake.run(only=SITES)
    at = "2026-03-08T17:00"
    lake.land(
        "spool/0", [line("pago", "d", at, note="n"), line("pago", "e", at), line("lima", "f", at)]
    )
    return lake.mended()


def copied(lake: Mended, folder: Path) -> Mended:
    shutil.copytree(lake.folder, folder)
    return Mended(folder, lake.declaration)


def replay(forks: Forks, lake: Mended, die: int | None = None) -> int:
    feed = str(lake.folder / "visits.yaml")
    return forks.command("replay", feed, "--lake", lake.lake.path, die=die).code


@pytest.mark.slow
@pytest.mark.parametrize("following", ["replay", "night"])
def test_killed_before_each_step_and_finished_by_the_next_run(
    before: Mended, forks: Forks, tmp_path: Path, following: str
) -> None:
    undisturbed = copied(before, tmp_path / "undisturbed")
    assert replay(forks, undisturbed) == 0
    after = undisturbed.told()

    def killed(step: int) -> bool:
        lake = copied(before, tmp_path / f"{step}")
        code = replay(forks, lake, step)
        assert code in (KILLED, 0)
        if following == "night":
            assert forks.night(lake).code == 0
        assert replay(forks, lake) == 0
        assert lake.findings() == []
        if following == "replay":
            assert_same_streams(after, lake.told())
        runs = lake.table("runs")
        assert runs["outcome"].str.contains("running").any() is False
        assert {*runs.filter(cadence="replay")["outcome"]} <= {
            "replayed", "killed", "killed; finished by the next run"
        }  # fmt: skip
        return bool(code == KILLED)

    assert before_steps(killed, 1 + (following == "night")) >= 9
