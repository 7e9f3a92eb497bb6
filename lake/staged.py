"""What a run has staged: files that wait to be published, and its counts per window."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date

from isopach.lake.files import DataFile
from isopach.lake.places import Place

Window = tuple[str, date]


@dataclass(frozen=True)
class Staged:
    """A run's files by table (`records`, `quarantine`, `totals_…`), and its counts by window.

    `extra` are the undeclared columns met in a window, with the rows that have a value there.
    """

    files: dict[str, list[DataFile]] = field(default_factory=dict)
    counts: dict[Window, dict[str, int]] = field(default_factory=dict)
    extra: dict[Window, dict[str, int]] = field(default_factory=dict)


def read_staged(folder: Place) -> Staged:
    """Return what a run's waves described."""
    files: dict[str, list[DataFile]] = defaultdict(list)
    counts: dict[Window, dict[str, int]] = {}
    extra: dict[Window, dict[str, int]] = {}
    for entry in folder.entries():
        if not entry.base_name.startswith("wave-"):
            continue
        for item in json.loads((folder / entry.base_name).read_bytes()):
            if item["table"] == "counts":
                site, day = item["window"]
                window = (site, date.fromisoformat(day))
                tally = dict(item["tally"])
                _add(extra, window, dict(tally.pop("extra")))
                _add(counts, window, tally)
            else:
                files[item["table"]].append(DataFile.from_json(item["file"]))
    return Staged(dict(files), counts, {window: found for window, found in extra.items() if found})


def _add(sums: dict[Window, dict[str, int]], window: Window, more: dict[str, int]) -> None:
    known = sums.setdefault(window, {})
    for name, value in more.items():
        known[name] = (known.get(name, 0) + value) % (1 << 64)
