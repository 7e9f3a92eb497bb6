"""`isopach counts`: declared, read by batch, read by the stream, and whether it adds up."""

from __future__ import annotations

import json
import re
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from commands import isopach
from hypothesis import given, settings
from hypothesis import strategies as st
from small_night import DAY, SmallNight, declare, row, rows
from small_stream import STREAM, SmallStream, line

from isopach.feeds.spool import SpoolWriter
from isopach.jobs.micro_batches import Options
from isopach.jobs.stream import run_stream
from isopach.jobs.three_way import three_way
from isopach.lake import tables
from isopach.lake.places import Place
from isopach.lake.replace import upsert
from isopach.pipelines.spool import Spool
from isopach.transforms.compare import EXTRA, MISSING

AT = f"{DAY}T16:00"
NYC = frozenset({"nyc"})


@pytest.fixture
def stream(tmp_path: Path) -> SmallStream:
    return SmallStream.at(tmp_path)


def send(stream: SmallStream, lines: list[str]) -> None:
    with SpoolWriter(stream.folder / "spool", "visits", "0") as writer:
        writer.append(lines)
    log = Spool(stream.folder / "spool", "visits")
    run_stream(stream.declaration, log, stream.lake, Options(until_idle=True), {})


def sent(first: int, end: int, site: str = "nyc", **other: Any) -> list[str]:
    return [line(site, f"{site}{n}", AT, **other) for n in range(first, end)]


def deliver(stream: SmallStream, first: int, end: int, **other: Any) -> None:
    stream.deliver("nyc", map(json.loads, sent(first, end)), **other)


def shown(night: SmallNight, *more: str) -> str:
    return isopach("counts", night.folder / "visits.yaml", "--lake", night.lake.uri, *more).out


def counted(night: SmallNight, site: str | None = "nyc") -> dict[str, Any]:
    """Return a site's row of what the command prints as JSON."""
    (found,) = (r for r in json.loads(shown(night, "--json"))["three_way"] if r["site"] == site)
    return dict(found)


def test_both_sides_agree(stream: SmallStream) -> None:
    send(stream, [*sent(0, 3), *sent(0, 1)])
    deliver(stream, 0, 3)
    stream.run(only=NYC)
    found = counted(stream)
    assert (found["declared"], found["batch_read"], found["batch_accepted"]) == (3, 3, 3)
    assert (found["stream_read"], found["stream_accepted"], found["stream_duplicate"]) == (4, 3, 1)
    assert (found["adds_up"], found["gaps"], found["explained"], found["unexplained"]) == (
        True, None, 0, 0
    )  # fmt: skip
    assert re.search(r" 3 +3 +3 +4 +3 +1 duplicate +yes", shown(stream))


def test_what_explains_the_difference_is_said_and_what_came_since(stream: SmallStream) -> None:
    send(stream, [*sent(0, 4), *sent(90, 91)])
    deliver(stream, 0, 7)
    stream.run(only=NYC)
    text = "stream accepted 5, batch 7 (-2): -3 never_sent, +1 not_in_delivery"
    found = counted(stream)
    assert (found["adds_up"], found["gaps"]) == (False, text)
    assert (found["explained"], found["unexplained"]) == (-2, 0)
    assert text in shown(stream)
    send(stream, sent(4, 7))  # late by now: a night has settled the window
    assert (counted(stream)["stream_late"], counted(stream)["gaps"]) == (3, text)
    deliver(stream, 0, 6, name="d2", at="2026-03-09T09:00:00Z")
    stream.run(only=NYC)
    found = counted(stream)
    assert found["gaps"] == (
        "stream accepted 5, batch 6 (-1): -3 never_sent, +1 not_in_delivery, +1 delivered since"
    )
    assert found["unexplained"] == 0


def test_changed_values_are_told_though_the_numbers_add_up(stream: SmallStream) -> None:
    send(stream, sent(0, 2, note="other"))
    deliver(stream, 0, 2)
    stream.run(only=NYC)
    found = counted(stream)
    assert (found["adds_up"], found["causes"]) == (True, "2 value_changed")
    assert "yes; differ: 2 value_changed" in shown(stream)


def test_a_window_that_the_stream_has_nothing_of(stream: SmallStream) -> None:
    send(stream, sent(0, 1, "pago"))
    deliver(stream, 0, 2)
    stream.run(only=NYC)
    found = counted(stream)
    assert (found["stream_read"], found["adds_up"]) == (0, False)
    assert found["gaps"] == "stream accepted 0, batch 2 (-2): -2 never_sent"


def test_a_night_before_the_first_event_compared_nothing(stream: SmallStream) -> None:
    deliver(stream, 0, 2)
    stream.run(only=NYC)
    assert counted(stream)["adds_up"] is True
    send(stream, sent(0, 2))
    found = counted(stream)
    assert found["gaps"] == "stream accepted 0, batch 2 (-2): not compared"
    assert (found["stream_late"], found["unexplained"]) == (2, None)


def test_a_held_window_and_rows_that_came_after_it_was_compared(tmp_path: Path) -> None:
    feed = {**STREAM, "reconcile": {"breach": "hold"}}
    stream = SmallStream(tmp_path, declare(tmp_path, feed))
    send(stream, sent(0, 2))
    deliver(stream, 0, 3)
    stream.deliver("pago", rows("pago", 2), rows=3)
    stream.run(only=frozenset({"nyc", "pago"}))
    assert counted(stream)["gaps"] == "stream accepted 2, batch 3 (-1): -1 never_sent"
    send(stream, sent(2, 3))
    assert counted(stream)["adds_up"] is True  # the event that was missed has come
    send(stream, sent(3, 5))
    assert counted(stream)["gaps"] == (
        "stream accepted 5, batch 3 (+2): -1 never_sent, +3 streamed since"
    )
    assert counted(stream, "pago")["gaps"] == "declared 3, batch read 2 (-1)"
    assert "held 2026-03-08 pago: declared 3 rows, read 2 (-1)" in shown(stream)


def test_provisional_windows_and_rows_of_no_window(stream: SmallStream) -> None:
    send(stream, [*sent(0, 3), "{"])
    found = counted(stream)
    assert (found["state"], found["adds_up"], found["stream_accepted"]) == ("provisional", None, 3)
    lost = counted(stream, None)
    assert (lost["state"], lost["stream_read"], lost["stream_rejected"]) == (None, 1, 1)
    text = shown(stream)
    assert re.search(r"nyc +provisional +3 +3 +no delivery", text)
    assert re.search(r" 1 +0 +1 rejected +of no window", text)
    assert "batch" not in text


def test_a_site_that_did_not_deliver_has_no_batch(stream: SmallStream) -> None:
    send(stream, sent(0, 3))
    deliver(stream, 0, 3)
    stream.run()
    found = counted(stream, "pago")
    assert (found["state"], found["batch_read"], found["adds_up"]) == ("held", None, None)


def test_a_settled_window_rests_on_the_delivery_that_settled_it(tmp_path: Path) -> None:
    night = SmallNight(tmp_path, declare(tmp_path))
    night.deliver("nyc", [*rows("nyc", 3), row("nyc", "late", at="2026-03-01T12:00:00Z")])
    night.run(only=NYC)
    night.deliver("nyc", rows("nyc", 2), rows=5, name="d2", at="2026-03-09T09:00:00Z")
    night.run(only=NYC)
    found = counted(night)
    assert (found["declared"], found["batch_read"], found["batch_late"]) == (4, 4, 1)
    assert (found["adds_up"], found["reason"]) == (True, "declared 5 rows, read 2 (-3)")


def test_a_ledger_of_an_older_version_knows_of_those_that_differ(stream: SmallStream) -> None:
    fields = [f for f in tables.COUNTS.schema if f.name not in ("arrived", "streamed")]
    old = tables.Table("ledger/counts", pa.schema(fields))
    send(stream, sent(0, 2))
    deliver(stream, 0, 3)
    stream.run(only=NYC)
    new = stream.table("counts")
    (stream.folder / "lake/ledger/counts").rename(stream.folder / "moved")
    upsert(stream.lake, old, new.drop("arrived", "streamed"), ["run", "business_date"])
    found = counted(stream)
    assert found["gaps"] == "stream accepted 2, batch 3 (-1): -1 never_sent"
    assert found["unexplained"] == 0
    deliver(stream, 0, 2, name="d2", at="2026-03-09T09:00:00Z")
    stream.run(only=NYC)  # a run of this version adds the columns
    assert stream.table("counts").sort("run")["arrived"].is_null().to_list() == [True, True, False]


# Whatever the ledger says

SMALL = st.integers(0, 2)


@st.composite
def sides(draw: st.DrawFn) -> dict[str, int]:
    parts = {name: draw(SMALL) for name in ("accepted", "rejected", "late", "duplicate")}
    return {**parts, "read": sum(parts.values()) + draw(st.sampled_from([0, 0, 0, 1]))}


WINDOWS = st.fixed_dictionaries(
    {
        "batch": sides(),
        "stream": st.none() | sides(),
        "declared": st.none() | st.integers(0, 8),
        "lost": st.sampled_from([0, 0, 0, 1]),
        "streamed": st.none() | SMALL,
        MISSING: SMALL,
        EXTRA: SMALL,
    }
)


def conserved(side: dict[str, int]) -> bool:
    return side["read"] == sum(count for name, count in side.items() if name != "read")


def should_add_up(window: dict[str, Any]) -> bool:
    batch, stream = window["batch"], window["stream"]
    declared = window["declared"] in (None, batch["read"])
    good = declared and conserved(batch) and not window["lost"]
    compared = window["streamed"] is not None or window[MISSING] or window[EXTRA]
    if not stream:
        stream = {"read": 0, "accepted": 0} if compared else None
    if stream is None:
        return good
    same = stream["accepted"] == batch["accepted"] and conserved(stream)
    return good and same and unexplained(window) in (None, 0)


def unexplained(window: dict[str, Any]) -> int | None:
    more = window[EXTRA] - window[MISSING]
    then = window["streamed"]
    if then is None:
        if not window[EXTRA] and not window[MISSING]:
            return None
        then = window["stream"]["accepted"] if window["stream"] else 0
    return int(then - window["batch"]["accepted"] - more)


def write(lake: Place, windows: list[dict[str, Any]]) -> None:
    """Write a ledger that says this of windows, one a day."""
    found: dict[tables.Table, list[dict[str, Any]]] = {
        table: [] for table in (tables.COUNTS, tables.WINDOWS, tables.DIFFERENCES)
    }
    for number, window in enumerate(windows):
        of = {"feed": "visits", "site": "nyc", "business_date": DAY + timedelta(number)}
        rows = window["batch"]["accepted"] - window["lost"]
        found[tables.WINDOWS].append(
            {**of, "state": "settled", "rows": rows, "settled_by": "b", "run": "b"}
        )
        night = {"run": "b", "mode": "batch", "delivery": "d", "streamed": window["streamed"]}
        found[tables.COUNTS].append(
            {**of, **night, **window["batch"], "declared": window["declared"]}
        )
        if window["stream"]:
            found[tables.COUNTS].append({**of, "run": "s", "mode": "stream", **window["stream"]})
        for kind in (MISSING, EXTRA):
            one = {**of, "run": "b", "kind": kind, "cause": f"because {kind}"}
            found[tables.DIFFERENCES] += [one] * window[kind]
    for table, said in found.items():
        frame = pl.DataFrame(said, schema=tables.empty_frame(table.schema).schema)
        upsert(lake, table, frame, ["business_date"])


@settings(max_examples=30)
@given(st.lists(WINDOWS, min_size=1, max_size=12))
def test_a_row_adds_up_if_and_only_if_nothing_is_lost_or_doubled(
    windows: list[dict[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Place.of(folder)
        write(lake, windows)
        found = three_way(lake, "visits", None, None)
    assert found["adds_up"].to_list() == [should_add_up(window) for window in windows]
    assert found["unexplained"].to_list() == [unexplained(window) for window in windows]
    assert found["gaps"].is_null().to_list() == found["adds_up"].to_list()
