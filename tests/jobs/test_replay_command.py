"""`isopach replay`: what is said of the rows, and what `quarantine` and `counts` say after."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Result, isopach, refused
from small_night import DAY, row
from small_replay import Mended


@pytest.fixture
def lake(tmp_path: Path) -> Mended:
    """A settled window and a held one, with rows that today's rules accept."""
    lake = Mended.begun(tmp_path)
    rows = [row("nyc", "a", note="n"), row("nyc", "b"), row("nyc", "c", minutes="x", note="n")]
    lake.deliver("nyc", [*rows, row("nyc", "a")])
    lake.deliver("kathmandu", [row("kathmandu", "k")], rows=9)
    lake.run(only=frozenset({"nyc", "kathmandu"}))
    return lake.mended()


def run(lake: Mended, command: str, *more: str) -> Result:
    return isopach(command, lake.folder / "visits.yaml", "--lake", lake.lake.uri, *more)


def test_people_are_told_what_became_of_the_rows(lake: Mended) -> None:
    dry = run(lake, "replay", "--dry-run")
    assert dry.code == 0
    assert "visits dry run: of 4 rejected rows 1 would be accepted" in dry.out
    found = run(lake, "replay")
    assert found.code == 0
    first, *rest = found.out.splitlines()
    assert first.startswith(
        "visits replayed: of 4 rejected rows 1 accepted, 1 still rejected, 1 duplicate, "
        "1 left alone in "
    )
    assert rest == [
        "  1 malformed",
        f"  left alone, as their night is held: 1 rows of {DAY} kathmandu",
    ]
    assert run(lake, "replay").out.startswith("visits nothing to do: of 3 rejected rows 0 accepted")
    assert run(lake, "verify").code == 0


def test_programs_are_told_too(lake: Mended) -> None:
    found = run(lake, "replay", "--json")
    assert found.code == 0
    document = found.document
    assert document.pop("seconds") > 0
    assert len(document.pop("run")) > 20
    assert document == {
        "feed": "visits",
        "outcome": "replayed",
        "candidates": 4,
        "accepted": 1,
        "rejected": {"malformed": 1},
        "duplicate": 1,
        "left": [
            {"site": "kathmandu", "business_date": f"{DAY}", "state": "held", "rows": 1}
        ],
    }  # fmt: skip


def test_only_what_is_chosen_is_replayed(lake: Mended) -> None:
    chosen = ["--date", f"{DAY}", "--site", "nyc", "--reason", "malformed"]
    assert run(lake, "replay", *chosen, "--json").document["candidates"] == 1
    other = run(lake, "replay", "--date", "2020-01-01", "--json")
    assert (other.code, other.document["candidates"]) == (0, 0)


def test_quarantine_shows_what_is_still_set_aside(lake: Mended) -> None:
    replayed = run(lake, "replay", "--json").document["run"]
    still = run(lake, "quarantine", "--json").document
    assert sorted(one["key"] for one in still["rows"]) == ["a", "c", "k"]
    assert sum(one["rows"] for one in still["reasons"]) == 3
    (one,) = run(lake, "quarantine", "--replayed", "--json").document["rows"]
    assert (one["key"], one["replayed_run"]) == ("b", replayed)
    assert f"  replayed by {replayed}\n" in run(lake, "quarantine", "--replayed").out


def test_counts_add_up_after_it(lake: Mended) -> None:
    run(lake, "replay")
    rows = run(lake, "counts", "--site", "nyc", "--json").document["counts"]
    (one,) = rows
    figures = ["read", "accepted", "rejected", "late", "duplicate", "declared", "rows"]
    assert [one[name] for name in figures] == [4, 2, 2, 0, 0, 4, 2]


def test_a_lake_that_is_not_there_is_left_so(lake: Mended, tmp_path: Path) -> None:
    feed, nowhere = lake.folder / "visits.yaml", tmp_path / "nowhere"
    found = isopach("replay", feed, "--lake", nowhere, "--json")
    assert (found.code, found.document["candidates"]) == (0, 0)
    assert not nowhere.exists()


def test_bad_input_is_refused(lake: Mended) -> None:
    assert "--date: 'x' is not a date" in refused(run(lake, "replay", "--date", "x"), 2)
    said = refused(run(lake, "replay", "--site", "rome"), 2)
    assert said == f"--site: 'rome' is not registered in {lake.folder / 'sites.csv'}"
    assert "--date" in refused(run(lake, "replay", "--date", "2026-03-08..2026-03-09"), 2)
    missing = refused(isopach("replay", "nothing", "--lake", lake.lake.uri), 2)
    assert "nothing" in missing


def test_a_feed_that_no_longer_fits_its_table_is_refused(lake: Mended) -> None:
    yaml = lake.folder / "visits.yaml"
    yaml.write_text(yaml.read_text().replace("minutes: int32", "minutes: string"))
    assert "column 'minutes' is stored as int32" in refused(run(lake, "replay"), 2)
