"""The input that all peers are given: one night of sales, made once and kept."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from isopach.feeds.sales import write_night

Shape = Literal["zipf", "uniform", "hot"]

CACHE = Path(__file__).parents[1] / ".bench"
DAY = date(2026, 3, 8)  # 23 hours long in most of the United States
SEED = 7
FEWEST = 200  # rows: one per store


@dataclass(frozen=True)
class Night:
    """A landing zone that holds one night; `accepted` is what its maker says must come out."""

    landing: Path
    rows: int
    shape: Shape
    accepted: int
    day: date = DAY

    @property
    def reference(self) -> Path:
        """Where the rows that must come out are kept, as a Delta table."""
        return self.landing.with_name("reference")


def prepare(rows: int, shape: Shape, *, cache: Path = CACHE, seed: int = SEED) -> Night:
    """Return a night of that size and shape, writing it if the cache does not hold it."""
    folder = cache / "nights" / f"{rows}-{shape}-{seed}"
    if not folder.exists():
        write(folder, rows, shape, seed)
    truth = json.loads((folder / "truth.json").read_text())
    return Night(folder / "landing", rows, shape, truth["accepted"])


def write(folder: Path, rows: int, shape: Shape, seed: int) -> None:
    """Write a night beside its place and move it there when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=folder.parent))
    try:
        truth = write_night(draft / "landing", DAY, rows=rows, shape=shape, seed=seed)
        (draft / "truth.json").write_text(json.dumps({"accepted": truth.accepted}))
        os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def read_through(night: Night) -> int:
    """Read every input file once, so that all peers find them in memory; return the bytes."""
    return sum(len(path.read_bytes()) for path in night.landing.rglob("*") if path.is_file())
