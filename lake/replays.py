"""Replays: what each commit of a replay brought, for the tables that follow the records.

As with a stream's landings, the commit of the records is the decision. What it brought was
described in the replay's staging folder before, and the records' fence says how many of these
parts there are; so whoever comes next makes good what a killed replay left undone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import polars as pl

from isopach.lake import tables
from isopach.lake.commits import Snapshot, scan
from isopach.lake.places import Place
from isopach.lake.verdicts import PUBLISHED, VERDICTS, read_verdicts
from isopach.lake.windows import SETTLING

REPLAYS = "replays"
"""The fence that counts the commits of replays: rows came that no source's fence tells of."""
CADENCE = "replay"
BATCH = "batch"
ASIDE = {"business_date": pl.Date, "_source": pl.String, "_position": pl.Int64, "_run": pl.String}
"""How a row is found in quarantine."""
PART = "part-"


@dataclass(frozen=True)
class Brought:
    """Rows that went from one window of quarantine into one of records, with their checksum.

    What was not known of a row when it was set aside is null in the window it was counted in.
    `run` is the night that set them aside; null for a stream's.
    """

    counted_site: str | None
    counted_day: date | None
    site: str
    day: date
    mode: str
    run: str | None
    rows: int
    checksum_a: int
    checksum_b: int


@dataclass(frozen=True)
class Part:
    """One commit of a replay: its files of records, and what they brought."""

    number: int
    files: tuple[str, ...]
    brought: tuple[Brought, ...]


def replay_fence(run: str) -> str:
    """Return the fence under which a table records how many parts of a replay it has."""
    return f"replay/{run}"


def folder_of(lake: Place, feed: str, run: str) -> Place:
    """Return where a replay describes its parts."""
    return lake / f"{feed}/_staging/{run}"


def write_part(folder: Place, part: Part, rows: pl.DataFrame) -> None:
    """Describe a part before it is committed; `rows` are those of quarantine (ASIDE)."""
    rows_place = folder / f"{PART}{part.number:06}.parquet"
    rows_place.make_parent()
    with rows_place.filesystem.open_output_stream(rows_place.path) as sink:
        rows.select(pl.col(name).cast(kind) for name, kind in ASIDE.items()).write_parquet(sink)
    text = json.dumps(asdict(part), default=date.isoformat)
    (folder / f"{PART}{part.number:06}.json").write_bytes(text.encode())


def read_parts(folder: Place, records: Snapshot | None, run: str) -> list[Part]:
    """Return the parts of a replay that the records have."""
    last = (records.fence(replay_fence(run)) or 0) if records else 0
    return [_read_part(folder, number) for number in range(1, last + 1)]


def _read_part(folder: Place, number: int) -> Part:
    data = json.loads((folder / f"{PART}{number:06}.json").read_bytes())
    return Part(number, tuple(data["files"]), tuple(map(_brought, data["brought"])))


def _brought(data: dict[str, Any]) -> Brought:
    days = {n: date.fromisoformat(data[n]) if data[n] else None for n in ("counted_day", "day")}
    return Brought(**{**data, **days})


def rows_of(folder: Place, part: Part) -> pl.DataFrame:
    """Return where the rows of a part stand in quarantine (ASIDE)."""
    return pl.read_parquet((folder / f"{PART}{part.number:06}.parquet").read_bytes())


def unfinished(lake: Place, feed: str) -> Iterator[str]:
    """Yield replays that described a part, and are not done."""
    place = lake / f"{feed}/_staging"
    for entry in place.entries() if place.exists() else ():
        if (place / entry.base_name / f"{PART}{1:06}.parquet").exists():
            yield entry.base_name


def resting(lake: Place, feed: str, days: Sequence[date]) -> pl.DataFrame:
    """Return `site, business_date, state, rests_on` of the windows that the ledger has on dates.

    A window rests on the night that has settled it, or that will for certain, its verdict being
    written; null where what a stream has landed still stands.
    """
    chosen = pl.col("business_date").is_in(list(days)) & (pl.col("feed") == feed)
    rows = scan(lake, tables.WINDOWS).filter(chosen).collect()
    marked = rows.filter(state=SETTLING)["run"].unique()
    passed = [
        (run, verdict.site, verdict.day)
        for run in marked.drop_nulls()
        if (folder_of(lake, feed, run) / VERDICTS).exists()
        for verdict in read_verdicts(folder_of(lake, feed, run))
        if not verdict.held
    ]
    schema = {"run": pl.String, "site": pl.String, "business_date": pl.Date}
    sure = pl.DataFrame(passed, schema=schema, orient="row").with_columns(_passed="run")
    found = rows.join(sure, on=list(schema), how="left")
    taken = pl.when(pl.col("state") == SETTLING).then("_passed")
    return found.select("site", "business_date", "state", rests_on=pl.coalesce(taken, "settled_by"))


def being_published(lake: Place, feed: str, runs: Sequence[str]) -> list[str]:
    """Return those of some nights that have not carried out their verdicts, or not said so.

    They may be published once more, which puts their windows back to what they staged.
    """
    return [
        run
        for run in runs
        if (folder_of(lake, feed, run) / VERDICTS).exists()
        and not (folder_of(lake, feed, run) / PUBLISHED).exists()
    ]
