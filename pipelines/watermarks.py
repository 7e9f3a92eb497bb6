"""The watermark that a source may report to its engine: the least of all that a process reads.

Prism takes what the sources of one bundle report for the watermark of all: a source that is ahead,
and alone in its bundle, would close the windows of the others, whose rows it then drops. Others
keep a watermark for each source, and lose nothing by this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

from isopach.transforms.lateness import UNKNOWN

FORGOTTEN_SECONDS = 60.0
"""A source that was not asked for so long is read by another process, if at all."""


class _Noted(NamedTuple):
    reached: int
    handed_over: int
    asked: float


@dataclass
class Watermarks:
    """Watermarks of the sources that a process reads, in UTC microseconds; UNKNOWN before a row."""

    noted: dict[str, _Noted] = field(default_factory=dict)

    def begin(self, source: str, watermark: int) -> int:
        """Return how far a source has come, which is a watermark that is given or what was noted.

        It is asked again only when its engine has what it brought before.
        """
        reached = max(watermark, self._of(source).reached)
        self.noted[source] = _Noted(reached, reached, monotonic())
        return reached

    def note(self, source: str, watermark: int) -> None:
        """Keep how far a source has come by rows that its engine is yet to have."""
        self.noted[source] = self._of(source)._replace(reached=watermark)

    def least(self) -> int:
        """Return the watermark before which no source will hand over a row that is not late."""
        since = monotonic() - FORGOTTEN_SECONDS
        noted = list(self.noted.values())  # at once: sources are read in several threads
        return min((one.handed_over for one in noted if one.asked > since), default=UNKNOWN)

    def clear(self) -> None:
        """Forget all, for another run."""
        self.noted.clear()

    def _of(self, source: str) -> _Noted:
        return self.noted.get(source, _Noted(UNKNOWN, UNKNOWN, monotonic()))
