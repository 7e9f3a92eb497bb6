"""What came of one peer at one rate, of one peer on the backlog, and of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Latency:
    """Seconds from an event's making to the first version of the table that has it."""

    name: str
    rate: int
    rows: int = 0
    p50: float = 0.0
    p99: float = 0.0
    longest: float = 0.0
    commits: int = 0
    peak_mb: float = 0.0
    error: str = ""

    def document(self) -> dict[str, Any]:
        """Return what the JSON output says."""
        return {
            "name": self.name,
            "rate": self.rate,
            "rows": self.rows,
            "p50_seconds": round(self.p50, 3),
            "p99_seconds": round(self.p99, 3),
            "longest_seconds": round(self.longest, 3),
            "commits": self.commits,
            "peak_mb": round(self.peak_mb, 1),
            **ending(self.error),
        }


@dataclass(frozen=True)
class Drain:
    """Seconds from a process's start to its first commit with rows, and to its last one."""

    name: str
    rows: int
    first: float = 0.0
    seconds: float = 0.0
    commits: int = 0
    peak_mb: float = 0.0
    private_mb: float = 0.0
    error: str = ""

    @property
    def speed(self) -> float:
        """Rows a second, the start of the process included."""
        return self.rows / self.seconds if self.seconds else 0.0

    def document(self) -> dict[str, Any]:
        """Return what the JSON output says."""
        return {
            "name": self.name,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "seconds_to_first_commit": round(self.first, 3),
            "seconds_from_first_commit": round(self.seconds - self.first, 3),
            "rows_per_second": round(self.speed),
            "commits": self.commits,
            "peak_mb": round(self.peak_mb, 1),
            "private_mb": round(self.private_mb, 1),
            **ending(self.error),
        }


@dataclass(frozen=True)
class Streams:
    """The results of all peers against one broker; `skipped` are peers that could not run."""

    seconds: int
    backlog: int
    latencies: tuple[Latency, ...]
    drains: tuple[Drain, ...]
    skipped: dict[str, str]

    @property
    def equal(self) -> bool:
        """Whether all that ran landed the rows of their topics."""
        return not any(result.error for result in self.results)

    @property
    def results(self) -> list[Latency | Drain]:
        """All results, as they came."""
        return [*self.latencies, *self.drains]

    @property
    def rates(self) -> list[int]:
        """The rates that were measured, as they came."""
        return list(dict.fromkeys(latency.rate for latency in self.latencies))

    def latency(self, name: str, rate: int) -> Latency | None:
        """Return a peer's latency at a rate, if it ran and went well."""
        found = (one for one in self.latencies if (one.name, one.rate) == (name, rate))
        return next((one for one in found if not one.error), None)

    def drain(self, name: str) -> Drain | None:
        """Return a peer's drain, if it ran and went well."""
        return next((one for one in self.drains if one.name == name and not one.error), None)

    def document(self) -> dict[str, Any]:
        """Return the JSON output."""
        return {
            "seconds": self.seconds,
            "backlog": self.backlog,
            "latency": [one.document() for one in self.latencies],
            "drain": [one.document() for one in self.drains],
            "skipped": self.skipped,
        }


def ending(error: str) -> dict[str, Any]:
    """Return whether the rows were those of the topic, and what went wrong if not."""
    return {"equal": False, "error": error} if error else {"equal": True}
