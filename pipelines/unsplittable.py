"""Restrictions of splittable reading whose rest stays in one piece.

A split between reading and claiming would lose what lies between; so, as in Java's
UnsplittableRestrictionTracker, only what is left of all is ever given away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.io.restriction_trackers import OffsetRange
from apache_beam.transforms.core import RestrictionProvider

END = 1 << 62
"""The end of a source that never ends."""


class Unsplittable(RestrictionTracker):  # type: ignore[misc]
    """Tracks the next position of a source."""

    def __init__(self, restriction: OffsetRange) -> None:
        self.restriction = restriction
        self.next = restriction.start

    def current_restriction(self) -> OffsetRange:
        return self.restriction

    def current_progress(self) -> RestrictionProgress:
        return RestrictionProgress(fraction=0.0)

    def try_claim(self, position: int) -> bool:
        """Claim everything before a position; false once what is left was given away."""
        if position > self.restriction.stop:
            return False
        self.next = position
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[OffsetRange, OffsetRange] | None:
        if fraction_of_remainder != 0 or self.next >= self.restriction.stop:
            return None
        rest = OffsetRange(self.next, self.restriction.stop)
        self.restriction = OffsetRange(self.restriction.start, self.next)
        return self.restriction, rest

    def check_done(self) -> bool:
        if self.next < self.restriction.stop:
            raise ValueError(f"{self.restriction}: {self.next} and what follows was not claimed")
        return True

    def is_bounded(self) -> bool:
        return False


class FromPosition(RestrictionProvider):  # type: ignore[misc]
    """Reads a source from the position that its element names, for ever."""

    def initial_restriction(self, element: Any) -> OffsetRange:
        return OffsetRange(element.position, END)

    def create_tracker(self, restriction: OffsetRange) -> Unsplittable:
        return Unsplittable(restriction)

    def restriction_size(self, element: Any, restriction: OffsetRange) -> int:
        return 1

    def split(self, element: Any, restriction: OffsetRange) -> Iterator[OffsetRange]:
        yield restriction

    def truncate(self, element: Any, restriction: OffsetRange) -> None:
        return None


class Names(RestrictionTracker):  # type: ignore[misc]
    """Tracks the names of sources that were found, which become more for ever."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self.known = self.next = known
        self.done = False

    def current_restriction(self) -> tuple[str, ...]:
        return self.known

    def current_progress(self) -> RestrictionProgress:
        return RestrictionProgress(fraction=0.0)

    def try_claim(self, names: tuple[str, ...]) -> bool:
        """Claim the names that are known from now on."""
        if not self.done:
            self.next = names
        return not self.done

    def try_split(
        self, fraction_of_remainder: float
    ) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        if fraction_of_remainder != 0 or self.done:
            return None
        self.done = True
        return self.known, self.next

    def check_done(self) -> bool:
        if not self.done:
            raise ValueError("the rest of the names was neither claimed nor given away")
        return True

    def is_bounded(self) -> bool:
        return False


class AsFound(RestrictionProvider):  # type: ignore[misc]
    """Finds names, beginning with none."""

    def initial_restriction(self, element: Any) -> tuple[str, ...]:
        return ()

    def create_tracker(self, restriction: tuple[str, ...]) -> Names:
        return Names(restriction)

    def restriction_size(self, element: Any, restriction: tuple[str, ...]) -> int:
        return 1

    def split(self, element: Any, restriction: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield restriction

    def truncate(self, element: Any, restriction: tuple[str, ...]) -> None:
        return None
