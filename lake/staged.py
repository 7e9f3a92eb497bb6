"""What a run has staged: files that wait to be published, and its counts per window."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from isopach.lake.files import DataFile
from isopach.lake.places import Place

Window = tuple[str, date]
STAGED = "staged.json"
NAMED = ("extra", "unexpected", "evaluated")
"""Figures of a window by name, beside its counts."""


class Took(NamedTuple):
    """How long a group of the shuffle took a worker to write, once its rows were there."""

    group: int
    rows: int
    seconds: float


@dataclass(frozen=True)
class Staged:
    """A run's files by table (`records`, `quarantine`, `totals_…`), and its counts by window.

    `extra` are the undeclared columns met in a window, with the rows that have a value there;
    `unexpected` the rules of the feed's suite, with the rows that do not meet them, of those that
    have a value to look at (`evaluated`). `took` are times of groups, of a run just staged.
    """

    files: dict[str, list[DataFile]] = field(default_factory=dict)
    counts: dict[Window, dict[str, int]] = field(default_factory=dict)
    extra: dict[Window, dict[str, int]] = field(default_factory=dict)
    unexpected: dict[Window, dict[str, int]] = field(default_factory=dict)
    evaluated: dict[Window, dict[str, int]] = field(default_factory=dict)
    took: tuple[Took, ...] = ()


def write_staged(folder: Place, staged: Staged) -> None:
    """Describe all that a run staged in one file."""
    (folder / STAGED).write_bytes(
        json.dumps(
            {
                "files": {t: [f.as_json() for f in files] for t, files in staged.files.items()},
                **{
                    name: [
                        [*_text(window), found] for window, found in getattr(staged, name).items()
                    ]
                    for name in ("counts", *NAMED)
                },
            }
        ).encode()
    )


def _figures(staged: Staged) -> Iterator[tuple[str, dict[Window, dict[str, int]]]]:
    yield from ((name, getattr(staged, name)) for name in ("counts", *NAMED))


def read_staged(folder: Place) -> Staged:
    """Return what a run staged."""
    data = json.loads((folder / STAGED).read_bytes())
    files = {table: [DataFile.from_json(f) for f in fs] for table, fs in data["files"].items()}
    figures = {
        name: {(site, date.fromisoformat(day)): found for site, day, found in data.get(name, ())}
        for name in ("counts", *NAMED)
    }
    extra, unexpected, evaluated = (figures[name] for name in NAMED)
    return Staged(files, figures["counts"], extra, unexpected, evaluated)


def _text(window: Window) -> tuple[str, str]:
    return window[0], window[1].isoformat()


def read_waves(folder: Place) -> Staged:
    """Return what the pipelines of a run described, each for its own wave."""
    files: dict[str, list[DataFile]] = defaultdict(list)
    counts: dict[Window, dict[str, int]] = {}
    named: dict[str, dict[Window, dict[str, int]]] = {name: {} for name in NAMED}
    took: list[Took] = []
    for entry in folder.entries():
        for item in json.loads((folder / entry.base_name).read_bytes()):
            if item["table"] == "counts":
                site, day = item["window"]
                window = (site, date.fromisoformat(day))
                tally = dict(item["tally"])
                for name in NAMED:
                    if found := dict(tally.pop(name)):
                        _add(named[name], window, found)
                _add(counts, window, tally)
            else:
                files[item["table"]].append(DataFile.from_json(item["file"]))
                took += [Took(*item["took"])] if "took" in item else []
    extra, unexpected, evaluated = (named[name] for name in NAMED)
    return Staged(dict(files), counts, extra, unexpected, evaluated, tuple(took))


def _add(sums: dict[Window, dict[str, int]], window: Window, more: dict[str, int]) -> None:
    known = sums.setdefault(window, {})
    for name, value in more.items():
        known[name] = (known.get(name, 0) + value) % (1 << 64)
