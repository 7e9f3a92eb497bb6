"""What came of one peer, and of all peers on one night."""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.measure import Measured


@dataclass(frozen=True)
class Run:
    """One timed run of a peer: seconds for the whole night, extrapolated if it did a part."""

    seconds: float
    peak_mb: float
    private_mb: float
    error: str = ""


@dataclass(frozen=True)
class Result:
    """All runs of a peer; `equal` if every one gave the rows that must come out."""

    name: str
    runs: tuple[Run, ...]
    share: float = 1  # it was given every so manyth row

    @property
    def seconds(self) -> float:
        """The median of the runs."""
        return median(run.seconds for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """The highest of the runs."""
        return max(run.peak_mb for run in self.runs)

    @property
    def private_mb(self) -> float:
        """The highest of the runs, without pages shared with files."""
        return max(run.private_mb for run in self.runs)

    @property
    def error(self) -> str:
        """What went wrong first, if anything."""
        return next((run.error for run in self.runs if run.error), "")

    @property
    def equal(self) -> bool:
        """Whether nothing went wrong."""
        return not self.error

    def document(self) -> dict[str, Any]:
        """Return what the JSON output says of this peer."""
        found: dict[str, Any] = {
            "name": self.name,
            "seconds": round(self.seconds, 3),
            "peak_mb": round(self.peak_mb, 1),
            "equal": self.equal,
            "private_mb": round(self.private_mb, 1),
            "runs": [round(run.seconds, 3) for run in self.runs],
        }
        if self.share != 1:
            found["extrapolated_from_rows_divided_by"] = round(self.share, 3)
        if self.error:
            found["error"] = self.error
        return found


@dataclass(frozen=True)
class Race:
    """The results of all peers on one night."""

    rows: int
    shape: str
    results: tuple[Result, ...]

    @property
    def equal(self) -> bool:
        """Whether all peers gave the rows that must come out."""
        return all(result.equal for result in self.results)

    def of(self, name: str) -> Result | None:
        """Return a peer's result, if it ran and went well."""
        return next((r for r in self.results if r.name == name and r.equal), None)

    def ratio(self, name: str, other: str) -> float | None:
        """Return a peer's seconds over another's, if both went well."""
        one, two = self.of(name), self.of(other)
        return one.seconds / two.seconds if one and two else None

    def document(self) -> dict[str, Any]:
        """Return the JSON output."""
        results = [result.document() for result in self.results]
        return {"rows": self.rows, "shape": self.shape, "results": results}


def extrapolated(measured: Measured, share: float) -> float:
    """Return the seconds for all rows of a peer that did every `share`th.

    What it needed to start is counted once and not multiplied: its first line on stdout tells
    when it had (`ready_at`, seconds since 1970).
    """
    if share == 1:
        return measured.seconds
    ready: float = json.loads(measured.output.splitlines()[0])["ready_at"]
    startup = ready - measured.began
    return startup + share * (measured.seconds - startup)
