"""The Delta log of a table, as it lies on storage: its commits, what they removed, their fences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from urllib.parse import unquote

import polars as pl
import pyarrow.parquet as pq

from isopach.lake.commits import newest
from isopach.lake.landings import TOKEN
from isopach.lake.places import Place
from isopach.lake.tables import Table

FOLDER = "_delta_log"
EXPIRY = timedelta(days=30)
"""How long Delta keeps a log that says nothing of it."""
AT_ONCE = 2000
"""Commits read at a time; a stream makes some thousands an hour."""
READERS = 8
"""Commits read side by side."""
_NAME = re.compile(r"(\d{20})\.(json|checkpoint\.(?:.*\.)?parquet)")
_REMOVE = pl.Schema({"remove": pl.Struct({"path": pl.String})})
_TXN = pl.Schema({"txn": pl.Struct({"appId": pl.String, "version": pl.Int64})})


@dataclass(frozen=True)
class LogFile:
    """A file of the log: a commit, or a checkpoint of all that stands at its version."""

    name: str
    version: int
    size: int
    changed: datetime

    @property
    def checkpoint(self) -> bool:
        return not self.name.endswith(".json")


@dataclass(frozen=True)
class DeltaLog:
    """A table's log as it was listed; commits and checkpoints by version."""

    folder: Place
    files: Sequence[LogFile]

    @cached_property
    def commits(self) -> list[LogFile]:
        return [file for file in self.files if not file.checkpoint]

    @cached_property
    def checkpoints(self) -> list[LogFile]:
        return [file for file in self.files if file.checkpoint]

    def removed_since(self, moment: datetime) -> set[str]:
        """Return the files that commits since a moment have removed: versions of then have them."""
        recent = [file for file in self.commits if file.changed >= moment]
        return {
            unquote(action["path"])
            for part in _read_json(self.folder, recent, _REMOVE)
            for action in part["remove"].drop_nulls()
            if action["path"] is not None
        }

    def fences(self) -> dict[str, int]:
        """Return the number that each application recorded last: the log's `txn` actions."""
        newest = max((file.version for file in self.checkpoints), default=-1)
        found: dict[str, int] = {}
        for file in self.checkpoints:
            if file.version == newest:
                found |= checkpoint_fences(self.folder / file.name)
        later = [file for file in self.commits if file.version > newest]
        for part in _read_json(self.folder, later, _TXN):
            found |= _numbers(part["txn"])
        return found


def read_log(lake: Place, table: Table) -> DeltaLog:
    """List a table's log; raises OSError if the table was never written."""
    folder = table.place(lake) / FOLDER
    files = [
        LogFile(entry.base_name, int(match[1]), entry.size, entry.mtime.astimezone(UTC))
        for entry in folder.entries()
        if entry.is_file and (match := _NAME.fullmatch(entry.base_name))
    ]
    return DeltaLog(folder, sorted(files, key=lambda file: (file.version, file.name)))


def checkpoint_fences(place: Place) -> dict[str, int]:
    """Return the fences that a checkpoint has."""
    rows = pq.read_table(place.path, filesystem=place.filesystem, columns=["txn"])
    column = pl.from_arrow(rows)
    assert isinstance(column, pl.DataFrame)
    return _numbers(column["txn"])


def tidy_log(lake: Place, table: Table, retention: timedelta) -> bool:
    """Write a checkpoint, and delete what of the log has expired; tell whether it was tidied.

    The log expires as the table's `delta.logRetentionDuration` says; where it says nothing, after
    Delta's 30 days, or never for as long as versions are to be kept for longer. Nothing is deleted
    unless the checkpoint has every fence: a stream's positions stand in old commits alone.
    """
    before = read_log(lake, table).fences()
    now = newest(lake, table)
    assert now is not None, "it has a log"
    now.delta.create_checkpoint()
    written = f"{now.version:020}.checkpoint.parquet"
    there = checkpoint_fences(table.place(lake) / FOLDER / written)
    given = "delta.logRetentionDuration" in now.delta.metadata().configuration
    if any(lost_fences(before, there)) or not (given or retention <= EXPIRY):
        return False
    now.delta.cleanup_metadata()
    return True


def lost_fences(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    """Yield what is wrong with fences that were read later: one is gone, or went back."""
    for name, at in before.items():
        if name not in after:
            yield f"{name} is gone, was {at}"
        elif after[name] < at and not name.endswith(f"/{TOKEN}"):
            yield f"{name} went back from {at} to {after[name]}"


def log_faults(log: DeltaLog) -> Iterator[str]:
    """Yield what is wrong with a log: a version that is left out, or an empty commit."""
    start = max((file.version for file in log.checkpoints), default=-1)
    there = [file.version for file in log.commits]
    first, last = min(there, default=0), max([*there, start])
    if start < 0 and first > 0:
        yield f"{FOLDER}: begins at version {first}, without a checkpoint"
    for version in sorted({*range(first, last + 1)} - {*there}):
        yield f"{FOLDER}: version {version} is not there"
    for file in log.commits:
        if file.size == 0:
            yield f"{FOLDER}/{file.name}: is empty"


def _read_json(
    folder: Place, files: Sequence[LogFile], schema: pl.Schema
) -> Iterator[pl.DataFrame]:
    """Yield commits' actions in their order, of the kind that a schema has."""
    places = [folder / file.name for file in files if file.size]
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(places), AT_ONCE):
            texts = pool.map(Place.read_bytes, places[start : start + AT_ONCE])
            yield pl.read_ndjson(b"\n".join(texts), schema=schema)


def _numbers(transactions: pl.Series) -> dict[str, int]:
    return {
        action["appId"]: action["version"]
        for action in transactions.drop_nulls()
        if action["appId"] is not None
    }
