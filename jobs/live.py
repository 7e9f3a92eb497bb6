"""The live line of a stream, on a terminal: what the metrics say, four times a second."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime

from prometheus_client import REGISTRY
from rich.console import Console
from rich.live import Live as Refreshed
from rich.text import Text

from isopach.pipelines.watching import landed_rows

OVER_SECONDS = 10.0


class Live:
    """Shows rows a second, lag, watermark, open windows and the last landing while it lasts."""

    def __init__(self, console: Console, feed: str) -> None:
        self.feed = feed
        self._seen: deque[tuple[float, int]] = deque()
        self._refreshed = Refreshed(
            self, console=console, refresh_per_second=4, transient=True, auto_refresh=True
        )
        self._shown = console.is_terminal

    def __enter__(self) -> Live:
        if self._shown:
            self._refreshed.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._refreshed.stop()

    def __rich__(self) -> Text:
        return Text(self.line(), no_wrap=True, overflow="ellipsis")

    def line(self) -> str:
        """Return the line as of now."""
        rows = sum(landed_rows(self.feed).values())
        parts = [f"{rows:,} rows", f"{self._rate(rows):,.0f}/s"]
        lags = self._by_source("isopach_lag_rows")
        if lags:
            worst = max(lags, key=lambda source: lags[source])
            behind = f" ({worst} {lags[worst]:,.0f})" if lags[worst] and len(lags) > 1 else ""
            parts.append(f"lag {sum(lags.values()):,.0f}{behind}")
        marks = self._by_source("isopach_watermark_timestamp_seconds")
        if marks:
            parts.append(f"watermark {datetime.fromtimestamp(min(marks.values()), UTC):%F %T}Z")
        parts.append(f"{self._value('isopach_open_windows'):,.0f} windows open")
        if failed := self._value("isopach_gate_failed"):
            parts.append(f"GATE: {failed:,.0f} expectations not met")
        last = self._value("isopach_last_landing_timestamp_seconds")
        if last:
            parts.append(f"landed {max(time.time() - last, 0):.1f} s ago")
        return "  ".join(parts)

    def _rate(self, rows: int) -> float:
        """Return rows a second over the last seconds."""
        now = time.monotonic()
        self._seen.append((now, rows))
        while now - self._seen[0][0] > OVER_SECONDS and len(self._seen) > 2:
            self._seen.popleft()
        since, before = self._seen[0]
        return (rows - before) / (now - since) if now > since else 0.0

    def _value(self, name: str) -> float:
        return REGISTRY.get_sample_value(name, {"feed": self.feed}) or 0.0

    def _by_source(self, name: str) -> dict[str, float]:
        return {
            sample.labels["source"]: sample.value
            for metric in REGISTRY.collect()
            if metric.name == name
            for sample in metric.samples
            if sample.labels["feed"] == self.feed
        }
