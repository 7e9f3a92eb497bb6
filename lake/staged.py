"""What a run has staged: files that wait to be published, and its counts per window."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from isopach.lake.files import DataFile
from isopach.lake.places import Place

Window = tuple[str, date]


@dataclass(frozen=True)
class Staged:
    """A run's files by table (`records`, `quarantine`, `totals_…`), and its counts by window."""

    files: dict[str, list[DataFile]] = field(default_factory=dict)
    counts: dict[Window, dict[str, int]] = field(default_factory=dict)


def read_staged(folder: Place) -> Staged:
    """Return what a run's waves described."""
    files: dict[str, list[DataFile]] = defaultdict(list)
    counts: dict[Window, dict[str, int]] = {}
    for entry in folder.entries():
        if not entry.base_name.startswith("wave-"):
            continue
        for item in json.loads((folder / entry.base_name).read_bytes()):
            if item["table"] == "counts":
                _add(counts, item)
            else:
                files[item["table"]].append(DataFile.from_json(item["file"]))
    return Staged(dict(files), counts)


def _add(counts: dict[Window, dict[str, int]], item: dict[str, Any]) -> None:
    site, day = item["window"]
    window, tally = (site, date.fromisoformat(day)), item["tally"]
    before = counts.get(window, {})
    counts[window] = {
        name: (value + before.get(name, 0)) % (1 << 64) for name, value in tally.items()
    }
