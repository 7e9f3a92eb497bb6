"""Rows read and staged by this process, for the progress bar of embedded runs.

Other runners are watched by their own pages and by Beam's metrics.
"""

from __future__ import annotations

import threading


class Tick:
    """A count that several threads may raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value = 0

    def add(self, number: int) -> None:
        with self._lock:
            self.value += number


READ, STAGED = Tick(), Tick()
