"""How far a run is: rows read and staged by this process, or what an engine says of itself."""

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


class Told:
    """The last that was told; empty where nothing is."""

    text = ""


READ, STAGED, ENGINE = Tick(), Tick(), Told()
