"""Logs: where a stream's rows come from; partitions of lines, each at a position."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl


class LogError(Exception):
    """A log that cannot be read on: the message says which source, where, and what to do."""


class Bounds(NamedTuple):
    """The positions that a source has at this moment: `[first, end)`."""

    first: int
    end: int


class Poll(NamedTuple):
    """What one read of a source gave: all its lines with positions in `[first, next)`.

    Positions ascend and may leave some out, as those of a log's own markers.
    """

    source: str
    first: int
    next: int
    positions: np.ndarray
    lines: pl.Series


class Log(Protocol):
    """A feed's partitions; each is a source with a name that stays, such as `spool/0`.

    May be pickled and sent to workers; what it holds open is opened where it is used.
    """

    def sources(self) -> Sequence[str]:
        """Return the sources there are now, by name; more may come."""
        ...

    def bounds(self, source: str) -> Bounds:
        """Return a source's first position that still can be read, and the next to be written."""
        ...

    def since(self, source: str, moment: datetime) -> int:
        """Return a position before which all rows were written before a moment."""
        ...

    def read(self, source: str, position: int, rows: int, *, wait: bool = True) -> Poll | None:
        """Return at most about so many rows from a position on; None if there are none yet.

        Never waits longer than a moment, and not at all where told so. Raises LogError where rows
        are gone that should be read.
        """
        ...

    def close(self) -> None:
        """Let go of what is held open; reading again opens it again."""
        ...


def texts(values: Sequence[bytes | None]) -> pl.Series:
    """Return lines as text; what is not UTF-8 becomes a line that is not JSON, its bytes escaped.

    `\\xff`, as an undecodable byte is written, is no escape that JSON knows.
    """
    if None in values:
        values = [b"null" if v is None else v for v in values]
    try:
        return pl.Series(values, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:
        decoded = [v.decode("utf-8", "backslashreplace") for v in values if v is not None]
        return pl.Series(decoded, dtype=pl.String)
