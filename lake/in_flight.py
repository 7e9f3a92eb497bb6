"""In flight: files that a table does not have, or has no more, and that somebody still needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from dataclasses import dataclass

from isopach.lake.ledger import runs_under_way
from isopach.lake.places import Place
from isopach.lake.replays import CADENCE
from isopach.lake.staged import read_staged
from isopach.lake.tables import Table
from isopach.lake.verdicts import VERDICTS
from isopach.lake.waiting import held_windows

LANDINGS = "landings"
NO_RUNS = (LANDINGS, "gate")
"""Folders of staging that are not of one run."""


@dataclass(frozen=True)
class InFlight:
    """Runs whose files are needed, by the names of their files, and paths that are described.

    Paths begin with the table's name.
    """

    runs: Set[str]
    paths: Set[str]

    def holds(self, table: Table, path: str) -> bool:
        """Tell whether a file of a table is needed, by its path within it."""
        name = path.rpartition("/")[2]
        return f"{table.name}/{path}" in self.paths or name.startswith(tuple(self.runs))


def in_flight(lake: Place, feed: str) -> InFlight:
    """Return what of a feed's files is needed though no version may have it.

    That is what nights, repairs and replays under way have written; what waits to be published,
    approved or taken up again after a kill; and what landings brought that some table still has to
    follow, which are read again even where the records have joined them since. What a killed night
    had staged before its audit nobody needs.

    Ask for this first, and look at the tables after: what is published between the two is visible.
    """
    alive, killed = set[str](), set[str]()
    for run in runs_under_way(lake, feed):
        if run.mode == "batch":
            (killed if run.killed and run.cadence != CADENCE else alive).add(run.run)
    runs = alive | set(held_windows(lake, feed)["run"])
    paths: set[str] = set()
    place = lake / f"{feed}/_staging"
    for entry in place.entries() if place.exists() else ():
        folder = place / entry.base_name
        if entry.base_name in NO_RUNS or entry.is_file:
            continue
        if entry.base_name in killed - runs and not (folder / VERDICTS).exists():
            continue
        runs.add(entry.base_name)
        paths.update(_staged(folder, feed))
    paths.update(_landed(place / LANDINGS, feed))
    return InFlight(runs, paths)


def _staged(folder: Place, feed: str) -> Iterator[str]:
    try:
        staged = read_staged(folder)
    except FileNotFoundError:
        return  # it is not audited yet, or was published meanwhile
    for table, files in staged.files.items():
        yield from (f"{feed}/{table}/{file.path}" for file in files)


def _landed(folder: Place, feed: str) -> Iterator[str]:
    for entry in folder.entries() if folder.exists() else ():
        if not entry.base_name.endswith(".json"):
            continue  # it is being written
        try:
            files = json.loads((folder / entry.base_name).read_bytes())["files"]
        except FileNotFoundError:
            continue  # every table has followed it meanwhile
        for table, described in files.items():
            yield from (f"{feed}/{table}/{file['path']}" for file in described)
