from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.lake.places import Place
from isopach.pipelines.deliveries import (
    Delivery,
    InvalidDeliveryError,
    LandingError,
    file_format,
    find_deliveries,
)

DAY = date(2026, 3, 8)
GOOD: dict[str, Any] = {
    "site": "S1",
    "business_date": "2026-03-08",
    "delivery": "d1",
    "rows": 1,
    "files": [{"name": "a.csv", "rows": 1}],
    "delivered_at": "2026-03-09T02:00:00Z",
}


def write(landing: Path, manifest: bytes | dict[str, Any] = GOOD, name: str = "d1") -> Path:
    """Write a delivery of S1 with a file `a.csv`; return its folder."""
    folder = landing / "sales/2026-03-08/S1" / name
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("id\nx\n")
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(content)
    return folder


def find(landing: Path, only: frozenset[str] | None = None) -> list[Delivery]:
    return find_deliveries(Place.of(landing), "sales", DAY, only)


def problem(landing: Path) -> str:
    """Return what is wrong with the one delivery."""
    (delivery,) = find(landing)
    assert delivery.problem is not None
    assert not delivery.files
    return delivery.problem


def listing(*names: str) -> dict[str, Any]:
    return GOOD | {"files": [{"name": name} for name in names]}


def test_a_good_delivery_is_found_with_its_files(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (delivery,) = find(tmp_path)
    assert (delivery.site, delivery.name, delivery.declared) == ("S1", "d1", 1)
    assert delivery.problem is None
    (file,) = delivery.files
    stat = (folder / "a.csv").stat()
    assert file.path == "2026-03-08/S1/d1/a.csv"
    assert (file.format, file.compression, file.rows) == ("csv", None, 1)
    assert (file.size, file.changed) == (stat.st_size, stat.st_mtime_ns)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"site": "S1"', "not JSON: "),
        (b"", "not JSON: "),
        (b"\xff\xfe{}", "not JSON: "),
        (b"[" * 100_000, "not JSON: "),
        (b"[]", "must be a mapping"),
        (b"null", "must be a mapping"),
    ],
)
def test_a_manifest_that_is_no_json_object(tmp_path: Path, content: bytes, said: str) -> None:
    write(tmp_path, content)
    assert problem(tmp_path).startswith("d1/manifest.json: ")
    assert said in problem(tmp_path)


def test_a_large_manifest_that_is_not_json_is_not_quoted(tmp_path: Path) -> None:
    write(tmp_path, b'{"secret": "' + b"x" * 100_000)
    assert len(problem(tmp_path)) < 200


@pytest.mark.parametrize("field", ["site", "business_date", "delivery", "files", "delivered_at"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    write(tmp_path, {name: value for name, value in GOOD.items() if name != field})
    assert problem(tmp_path) == f"d1/manifest.json: {field}: must be given"


def test_rows_may_be_left_out_and_other_fields_may_be_there(tmp_path: Path) -> None:
    manifest = {name: value for name, value in GOOD.items() if name != "rows"}
    write(tmp_path, {**manifest, "checksum": "unused"})
    (delivery,) = find(tmp_path)
    assert delivery.problem is None
    assert delivery.declared is None


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("site", "S2", "site: says S2, but lies under S1"),
        ("business_date", "2026-03-09", "says 2026-03-09, but lies under 2026-03-08"),
        ("business_date", "8.3.2026", "business_date: '8.3.2026': Input should be a valid date"),
        ("delivery", "d2", "delivery: says d2, but lies under d1"),
        ("rows", -1, "rows: -1: Input should be greater than or equal to 0"),
        ("rows", 1.5, "rows: 1.5: Input should be a valid integer"),
        ("delivered_at", "2026-03-09T02:00:00", "should have timezone info"),
        ("delivered_at", "yesterday", "delivered_at: 'yesterday'"),
        ("files", ["a.csv"], "files.0: 'a.csv': must be a mapping"),
        ("files", [{"name": "a.csv", "rows": -2}], "files.0.rows: -2"),
        ("files", [{"name": ""}], "files.0.name"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    write(tmp_path, GOOD | {field: value})
    assert problem(tmp_path).startswith("d1/manifest.json: ")
    assert said in problem(tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.csv", "a.csv"], "files.1.name: 'a.csv' is listed twice"),
        (["b.csv"], "files.0.name: 'b.csv' is not there"),
        (["a.csv", "b.csv"], "files.1.name: 'b.csv' is not there"),
        (["a.xlsx"], "'a.xlsx' has no format known here (.parquet, .csv"),
        (["a"], "'a' has no format known here"),
        (["a.parquet.gz"], "'a.parquet.gz' has no format known here"),
        (["a.csv.gz.gz"], "'a.csv.gz.gz' has no format known here"),
        (["/etc/passwd"], "must name a file in the delivery's own folder"),
        (["../d1/a.csv"], "must name a file in the delivery's own folder"),
        (["sub/../../../a.csv"], "must name a file in the delivery's own folder"),
        ([".."], "must name a file in the delivery's own folder"),
        ([".a.csv"], "must name a file in the delivery's own folder"),
        (["..\\a.csv"], "must name a file in the delivery's own folder"),
        (["a.csv\n"], "must name a file in the delivery's own folder"),
        (["a\x00.csv"], "must name a file in the delivery's own folder"),
        (["manifest.json"], "is the manifest itself"),
    ],
)
def test_a_wrong_file_name_is_refused(tmp_path: Path, names: list[str], said: str) -> None:
    folder = write(tmp_path, listing(*names))
    (folder / ".a.csv").write_text("id\n")
    assert said in problem(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link"])
def test_what_is_no_file_is_not_there(tmp_path: Path, kind: str) -> None:
    odd = write(tmp_path, listing("odd.csv")) / "odd.csv"
    if kind == "folder":
        odd.mkdir()
    elif kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to("nowhere.csv")
    assert problem(tmp_path) == "d1/manifest.json: files.0.name: 'odd.csv' is not there"


def test_a_link_out_of_the_landing_zone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("id\n")
    landing = tmp_path / "landing"
    (write(landing, listing("link.csv")) / "link.csv").symlink_to(tmp_path / "secret.csv")
    assert problem(landing).endswith(f"'link.csv' leads out of the landing zone {landing}")


def test_a_folder_that_links_out_of_the_landing_zone_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere")
    (tmp_path / "landing/sales/2026-03-08/S1").mkdir(parents=True)
    link = tmp_path / "landing/sales/2026-03-08/S1/d1"
    link.symlink_to(tmp_path / "elsewhere/sales/2026-03-08/S1/d1")
    assert "leads out of the landing zone" in problem(tmp_path / "landing")


def test_a_link_within_the_landing_zone_is_followed(tmp_path: Path) -> None:
    folder = write(tmp_path, listing("link.csv"))
    (folder / "link.csv").symlink_to("a.csv")
    (delivery,) = find(tmp_path)
    assert delivery.problem is None
    assert delivery.files[0].size == (folder / "a.csv").stat().st_size


def test_a_landing_zone_reached_by_a_link_is_no_way_out(tmp_path: Path) -> None:
    write(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert [delivery.problem for delivery in find(tmp_path / "link")] == [None]


def test_without_a_manifest_nothing_is_delivered(tmp_path: Path) -> None:
    (write(tmp_path) / "manifest.json").unlink()
    assert find(tmp_path) == []


def test_a_hidden_folder_is_no_delivery_yet(tmp_path: Path) -> None:
    write(tmp_path, name=".d1.partial")
    assert find(tmp_path) == []
    write(tmp_path)
    assert [(d.name, d.problem) for d in find(tmp_path)] == [("d1", None)]


def test_a_manifest_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    write(tmp_path, b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert [delivery.problem for delivery in find(tmp_path)] == [None]


def test_a_delivery_may_list_no_files(tmp_path: Path) -> None:
    write(tmp_path, listing() | {"rows": 0})
    assert [(d.declared, d.files, d.problem) for d in find(tmp_path)] == [(0, (), None)]


def test_a_folder_name_that_is_no_site_id_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "sales/2026-03-08/S 2").mkdir()
    problems = {delivery.site: delivery.problem for delivery in find(tmp_path)}
    assert problems == {"S1": None, "S 2": "folder name 'S 2' is not a site id"}


def test_files_beside_the_folders_are_passed_over(tmp_path: Path) -> None:
    folder = write(tmp_path)
    for place in (folder.parent, folder.parent.parent):
        (place / "README.txt").write_text("not a delivery")
    assert [delivery.site for delivery in find(tmp_path)] == ["S1"]


def test_only_the_sites_asked_for_are_looked_at(tmp_path: Path) -> None:
    write(tmp_path)
    assert find(tmp_path, frozenset({"S2"})) == []
    assert [delivery.site for delivery in find(tmp_path, frozenset({"S1", "S2"}))] == ["S1"]


ZONES = st.integers(-14, 14).map(lambda hours: f"{hours:+03}:00")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_newest_delivery_wins_whatever_its_name(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    landing = tmp_path_factory.mktemp("landing")
    names = data.draw(st.lists(st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True), unique=True))
    minutes = data.draw(st.permutations(range(len(names))))
    at = {}
    for name, minute in zip(names, minutes, strict=True):
        at[name] = datetime(2026, 3, 9, 2, tzinfo=UTC) + timedelta(minutes=minute)
        offset = data.draw(ZONES)
        local = at[name] + timedelta(hours=int(offset[:3]))
        said = f"{local:%Y-%m-%dT%H:%M:%S}{offset}"
        write(landing, GOOD | {"delivery": name, "delivered_at": said}, name)
    (landing / "sales/2026-03-08").mkdir(parents=True, exist_ok=True)
    found = [delivery.name for delivery in find(landing)]
    assert found == ([max(at, key=at.__getitem__)] if at else [])


def test_of_two_at_the_same_moment_the_later_name_wins(tmp_path: Path) -> None:
    for name in ("d2", "d1"):
        write(tmp_path, GOOD | {"delivery": name}, name)
    assert [delivery.name for delivery in find(tmp_path)] == ["d2"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.parquet", ("parquet", None)),
        ("a.csv", ("csv", None)),
        ("a.b.csv.gz", ("csv", "gzip")),
        ("a.jsonl", ("json", None)),
        ("a.ndjson.zst", ("json", "zstd")),
        ("a.json.zstd", ("json", "zstd")),
    ],
)
def test_formats_by_name(name: str, expected: tuple[str, str | None]) -> None:
    assert file_format(name, "here") == expected


@pytest.mark.parametrize("name", ["gz", ".csv", "a.zip", "a.csv.bz2", "csv"])
def test_unknown_formats_say_where(name: str) -> None:
    with pytest.raises(InvalidDeliveryError, match=r"^here has no format known here"):
        file_format(name, "here")


def test_a_landing_zone_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"nowhere: not a folder; --landing takes"):
        find(tmp_path / "nowhere")


def test_a_landing_zone_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LandingError, match=r"file: not a folder"):
        find(tmp_path / "file")


@pytest.mark.parametrize("there", ["", "sales", "sales/2026-03-07"])
def test_a_business_date_without_a_folder(tmp_path: Path, there: str) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    with pytest.raises(LandingError, match=r"sales/2026-03-08: not there.* is the date right\?"):
        find(tmp_path)


def test_a_business_date_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "sales").mkdir()
    (tmp_path / "sales/2026-03-08").write_text("")
    with pytest.raises(LandingError, match=r"sales/2026-03-08: cannot be read: .*directory"):
        find(tmp_path)


def test_a_site_folder_that_cannot_be_listed_holds_that_site_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    (tmp_path / "sales/2026-03-08/S0").mkdir()
    entries = Place.entries

    def failing(place: Place) -> list[Any]:
        if place.path.endswith("/S0"):
            raise PermissionError(13, "Permission denied", place.path)
        return entries(place)

    monkeypatch.setattr(Place, "entries", failing)
    problems = {delivery.site: delivery.problem for delivery in find(tmp_path)}
    assert problems["S1"] is None
    assert "Permission denied" in (problems["S0"] or "")
