"""The pace of a producer: how many events are due, with bursts in each minute."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE = 60.0


@dataclass(frozen=True)
class Pace:
    """Events per second, 0 for as fast as possible; a burst is so many times as fast.

    The burst comes in the middle of each minute.
    """

    rate: float = 0
    burst: float = 1
    burst_seconds: float = 5

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate={self.rate}: give events per second, or 0 for no limit")
        if self.burst < 1:
            raise ValueError(f"burst={self.burst}: give how many times as fast, 1 or more")
        if not 0 <= self.burst_seconds <= MINUTE / 2:
            raise ValueError(f"burst_seconds={self.burst_seconds}: give 0 to 30 of each minute")

    def due(self, elapsed: float) -> int:
        """Return how many events should have been sent after so many seconds."""
        minutes, second = divmod(elapsed, MINUTE)
        burst = min(max(second - MINUTE / 2, 0), self.burst_seconds)
        fast = minutes * self.burst_seconds + burst
        return int(self.rate * (elapsed + (self.burst - 1) * fast))
