"""`reconcile: {stream_only: keep}`: what only the stream has is published beside the night's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import isopach
from hypothesis import given, settings
from hypothesis import strategies as st
from small_night import DAY, EXAMPLES, declare, row, rows
from small_stream import STREAM, SmallStream, line

from isopach.feeds.spool import SpoolWriter
from isopach.jobs.micro_batches import Options
from isopach.jobs.stream import run_stream
from isopach.pipelines.spool import Spool

AT = f"{DAY}T16:00"
NYC = frozenset({"nyc"})


def begun(folder: Path, **more: Any) -> SmallStream:
    policy = {"stream_only": "keep", "max_extra": 99, "max_missing": 99} | more
    return SmallStream(folder, declare(folder, {**STREAM, "reconcile": policy}))


def land(stream: SmallStream, *lines: str) -> None:
    with SpoolWriter(stream.folder / "spool", "visits", "0") as writer:
        writer.append(list(lines))
    log = Spool(stream.folder / "spool", "visits")
    run_stream(stream.declaration, log, stream.lake, Options(until_idle=True), {})


def deliver(stream: SmallStream, *ids: str, hour: int = 2, **more: Any) -> None:
    some = [json.loads(line("nyc", id, AT)) for id in ids]
    stream.deliver("nyc", some, name=f"d{hour}", at=f"2026-03-09T0{hour}:00:00Z", **more)


def held_of(stream: SmallStream) -> dict[str, str]:
    """Return the mode of each record."""
    return dict(stream.table("records").select("id", "_mode").iter_rows())


def test_what_only_the_stream_has_is_kept_until_it_is_delivered(tmp_path: Path) -> None:
    stream = begun(tmp_path)
    land(stream, line("nyc", "both", AT), line("nyc", "only", AT, minutes=7))
    deliver(stream, "both", "never sent")
    done = stream.run(only=NYC)
    assert done.causes == {"never_sent": 1, "not_in_delivery": 1}
    expected = {"both": "batch", "never sent": "batch", "only": "stream"}
    assert held_of(stream) == expected
    (window,) = stream.table("windows").to_dicts()
    assert (window["rows"], window["kept"]) == (3, 1)
    assert dict(stream.table("totals_by_minutes").select("minutes", "visits").iter_rows()) == {
        10: 2,
        7: 1,
    }
    assert stream.findings() == []
    stream.run(only=NYC)
    assert held_of(stream) == expected, "running it again changes nothing"
    assert stream.findings() == []
    land(stream, line("nyc", "late", AT))
    assert held_of(stream) == expected
    deliver(stream, "both", "never sent", "only", hour=3)
    stream.run(only=NYC)
    assert held_of(stream) == dict.fromkeys(expected, "batch")
    assert stream.table("windows")["kept"].to_list() == [0]
    assert stream.findings() == []


def test_what_the_night_rejected_is_not_kept(tmp_path: Path) -> None:
    stream = begun(tmp_path)
    land(stream, line("nyc", "both", AT), line("nyc", "bad", AT))
    bad = row("nyc", "bad", minutes="many")
    stream.deliver("nyc", [json.loads(line("nyc", "both", AT)), bad])
    assert stream.run(only=NYC).causes == {"rejected_in_batch": 1}
    assert held_of(stream) == {"both": "batch"}
    assert stream.findings() == []


def test_repair_keeps_what_a_night_kept(tmp_path: Path) -> None:
    stream = begun(tmp_path)
    land(stream, line("nyc", "both", AT), line("nyc", "only", AT))
    deliver(stream, "both")
    stream.run(only=NYC)
    command = ("repair", tmp_path / "visits.yaml", "--lake", stream.lake.uri, "--date", f"{DAY}")
    given = (*command, "--landing", stream.landing.uri, "--site", "nyc", "--json")
    assert isopach(*given).document["outcome"] == "agrees"
    deliver(stream, "both", "more", hour=3)
    assert isopach(*given).document["outcome"] == "repaired"
    assert held_of(stream) == {"both": "batch", "more": "batch", "only": "stream"}
    assert isopach(*given).document["outcome"] == "agrees"
    assert stream.findings() == []


def test_approved_windows_keep_it_too(tmp_path: Path) -> None:
    stream = begun(tmp_path, breach="hold", max_extra=0)
    land(stream, line("nyc", "both", AT), line("nyc", "only", AT))
    deliver(stream, "both")
    run = stream.run(only=NYC).run
    land(stream, line("nyc", "more", AT))
    feed, lake = tmp_path / "visits.yaml", stream.lake.uri
    assert isopach("publish", feed, "--lake", lake, "--run", run, "--approve").code == 0
    assert held_of(stream) == {"both": "batch", "only": "stream", "more": "stream"}
    assert stream.table("windows")["kept"].to_list() == [2]
    assert stream.findings() == []


IDS = st.sets(st.sampled_from("abcdefgh"), max_size=6)


@settings(max_examples=EXAMPLES, deadline=None)
@given(IDS, st.lists(IDS.filter(bool), min_size=1, max_size=3))
def test_records_are_the_union_of_both(
    tmp_path_factory: pytest.TempPathFactory, streamed: set[str], deliveries: list[set[str]]
) -> None:
    stream = begun(tmp_path_factory.mktemp("keep"))
    land(stream, *(line("nyc", id, AT) for id in sorted(streamed)))
    for hour, ids in enumerate(deliveries):
        deliver(stream, *sorted(ids), hour=hour)
        stream.run(only=NYC)
        assert stream.findings() == []
        kept = streamed - ids
        assert held_of(stream) == dict.fromkeys(ids, "batch") | dict.fromkeys(kept, "stream")
        streamed = kept


def test_without_the_policy_it_is_dropped(tmp_path: Path) -> None:
    stream = begun(tmp_path, stream_only="drop")
    land(stream, line("nyc", "both", AT), line("nyc", "only", AT))
    deliver(stream, "both")
    stream.run(only=NYC)
    assert held_of(stream) == {"both": "batch"}
    stream.deliver("pago", rows("pago", 1))
    assert stream.findings() == []
