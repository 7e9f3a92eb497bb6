"""What a stream shows of itself, as Prometheus metrics; the live line reads the same ones.

Metrics are of the process that lands; engines that run the committer elsewhere have their own.
"""

from __future__ import annotations

import logging
import time
from collections import Counter as Counts
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from isopach.lake.landings import Landing, Reached


class LivePane(NamedTuple):
    """A live count as an engine's windows have it: early, on_time or late, and rows so far."""

    timing: str
    rows: int


PANES: dict[tuple[str, str, date], LivePane] = {}
"""Live counts of a job, since it began."""
LATE_ROWS: Counts[tuple[str, str, date]] = Counts()
"""Rows beside them that came after their window was closed."""
KINDS = ("accepted", "rejected", "late", "duplicate")
LOG = logging.getLogger("isopach.stream")

ROWS = Counter("isopach_rows", "Rows landed, by what became of them", ["feed", "disposition"])
PANES_FIRED = Counter("isopach_panes", "Live counts that windows gave", ["feed", "timing"])
LANDINGS = Counter("isopach_landings", "Commits of records", ["feed"])
LANDING_SECONDS = Histogram(
    "isopach_landing_seconds",
    "Time from a committer's call to its commit",
    ["feed"],
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
LAST_LANDING = Gauge("isopach_last_landing_timestamp_seconds", "When rows landed last", ["feed"])
LAG = Gauge("isopach_lag_rows", "Rows of a source that have not landed", ["feed", "source"])
FENCE = Gauge("isopach_fence", "A source's next position to land", ["feed", "source"])
WATERMARK = Gauge("isopach_watermark_timestamp_seconds", "A source's watermark", ["feed", "source"])
OPEN_WINDOWS = Gauge("isopach_open_windows", "Windows that still take rows", ["feed"])
KEYS = Gauge("isopach_key_index_rows", "Keys held to find duplicates", ["feed"])
KEY_BYTES = Gauge("isopach_key_index_bytes", "What those keys take in memory", ["feed"])
GATE_FAILED = Gauge(
    "isopach_gate_failed", "Critical expectations that the last look found not met", ["feed"]
)


def note_landing(feed: str, landing: Landing, seconds: float) -> None:
    """Count what a landing brought, and log it."""
    sums = dict.fromkeys(KINDS, 0)
    for tally in landing.counts.values():
        for name in sums:
            sums[name] += tally.get(name, 0)
    for name, rows in sums.items():
        ROWS.labels(feed, name).inc(rows)
    LANDINGS.labels(feed).inc()
    LANDING_SECONDS.labels(feed).observe(seconds)
    LAST_LANDING.labels(feed).set(time.time())
    figures = {"landing": landing.number, "feed": feed, "run": landing.run, **sums}
    LOG.info("landed %s rows", sum(sums.values()), extra={**figures, "seconds": round(seconds, 3)})


def note_pane(feed: str, window: tuple[str, date], timing: str, rows: int) -> None:
    """Add a pane to a window's live count, and log those that are not early."""
    rows += PANES.get((feed, *window), LivePane(timing, 0)).rows
    PANES[feed, *window] = LivePane(timing, rows)
    PANES_FIRED.labels(feed, timing).inc()
    site, day = window
    level = logging.DEBUG if timing == "early" else logging.INFO
    figures = {"feed": feed, "site": site, "business_date": str(day), "timing": timing}
    LOG.log(level, "%s %s: %d rows, %s", site, day, rows, timing, extra={**figures, "rows": rows})


def note_late(feed: str, window: tuple[str, date], rows: int) -> None:
    """Count rows that came after their window was closed."""
    LATE_ROWS[feed, *window] += rows
    LOG.info("%s %s: %d rows too late", *window, rows, extra={"feed": feed, "rows": rows})


def note_sources(feed: str, sources: Mapping[str, Reached]) -> None:
    """Show how far sources have come."""
    for source, reached in sources.items():
        FENCE.labels(feed, source).set(reached.fence)
        if reached.watermark is not None:
            WATERMARK.labels(feed, source).set(reached.watermark / 1e6)


def note_memory(feed: str, windows: int, keys: int, size: int) -> None:
    """Show what the committer holds."""
    OPEN_WINDOWS.labels(feed).set(windows)
    KEYS.labels(feed).set(keys)
    KEY_BYTES.labels(feed).set(size)


def note_gate(feed: str, failed: int) -> None:
    """Show how many critical expectations what has landed last does not meet."""
    GATE_FAILED.labels(feed).set(failed)


def landed_rows(feed: str) -> dict[str, int]:
    """Return how many rows this process has landed, by what became of them."""
    values = {k: REGISTRY.get_sample_value("isopach_rows_total", _labels(feed, k)) for k in KINDS}
    return {kind: int(rows or 0) for kind, rows in values.items()}


def _labels(feed: str, kind: str) -> dict[str, str]:
    return {"feed": feed, "disposition": kind}
