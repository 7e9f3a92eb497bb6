"""The spool: a folder of append-only files per partition, the stream source of a laptop.

`<spool>/<feed>/<partition>/<first position, 20 digits>.jsonl`; a row's position is the number of
its line over the partition's whole life. A last line is read once its newline is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from isopach.pipelines.logs import Bounds, LogError, Poll, texts

BLOCK = 1 << 22
NAME = re.compile(r"(\d{20})\.jsonl")


class Spot(NamedTuple):
    """A line's position, its file, and its first byte there."""

    position: int
    path: Path
    offset: int


_READ: dict[Path, Spot] = {}
"""Where this process stopped to read a partition, so that it need not count lines anew."""
_END: dict[Path, Spot] = {}
"""Where a partition ended when this process looked."""


class Spool:
    """A feed's spool; see `Log`."""

    def __init__(self, root: str | Path, feed: str) -> None:
        self.folder = Path(root).expanduser().resolve() / feed

    def sources(self) -> Sequence[str]:
        """Return a source for each partition; none while the folder is not there."""
        if not self.folder.is_dir():
            return []
        return sorted(f"spool/{entry.name}" for entry in self.folder.iterdir() if entry.is_dir())

    def bounds(self, source: str) -> Bounds:
        """Return the first position there is, and the one after the last whole line."""
        files = self._files(source)
        if not files:
            return Bounds(0, 0)
        first, (last, path) = files[0][0], files[-1]
        position, offset = max(_from(spots.get(path.parent), path, last) for spots in (_READ, _END))
        for block in _blocks(path, offset):
            position += block.count(b"\n")
            offset += len(block)
        _END[path.parent] = Spot(position, path, offset)
        return Bounds(first, position)

    def since(self, source: str, moment: datetime) -> int:
        """Return the first position of the first file that was written to since a moment."""
        changed = (
            first
            for first, path in self._files(source)
            if path.stat().st_mtime >= moment.timestamp()
        )
        return next(changed, self.bounds(source).end)

    def read(self, source: str, position: int, rows: int, *, wait: bool = True) -> Poll | None:
        """Return at most so many lines from a position on, all from one file."""
        path, offset, following = self._seek(source, position)
        if path is None:
            return None
        found: list[bytes] = []
        count = 0
        for block in _blocks(path, offset):
            part, lines = _first_lines(block, rows - count)
            found.append(part)
            count += lines
            if count >= rows:
                break
        if not count:
            if following is not None:  # nothing is added to a file after which another was begun
                raise _gone(self, source, position, following)
            return None
        text = b"".join(found)
        after = position + count
        _READ[path.parent] = Spot(after, path, offset + len(text))
        return Poll(source, position, after, np.arange(position, after), _lines(text))

    def close(self) -> None:
        """Forget where reading stopped."""
        for spots in (_READ, _END):
            for folder in [folder for folder in spots if folder.parent == self.folder]:
                spots.pop(folder, None)

    def _files(self, source: str) -> list[tuple[int, Path]]:
        folder = self.folder / source.removeprefix("spool/")
        names = ((NAME.fullmatch(path.name), path) for path in folder.glob("*.jsonl"))
        return sorted((int(match[1]), path) for match, path in names if match)

    def _seek(self, source: str, position: int) -> tuple[Path | None, int, int | None]:
        """Return the file that holds a position, its line's first byte, and the next file's start.

        Raises LogError if the position is before the first line, or after the last.
        """
        files = self._files(source)
        if position < (files[0][0] if files else 0):
            raise _gone(self, source, position, files[0][0])
        if not files:
            if position:
                raise _gone(self, source, 0, position)
            return None, 0, None
        first, path = max(file for file in files if file[0] <= position)
        at, offset = _from(_READ.get(path.parent), path, first, position)
        at, offset = _skip(path, at, offset, position)
        if at < position:
            raise _gone(self, source, at, position)
        return path, offset, next((start for start, _ in files if start > first), None)


def _from(spot: Spot | None, path: Path, first: int, position: int = 1 << 62) -> tuple[int, int]:
    """Return a position that is known in a file, and its byte: a spot's, or the file's first.

    A spot is of no use in another file, after the position that is looked for, or in a file that
    has become shorter.
    """
    known = spot is not None and spot.path == path and spot.position <= position
    if spot is None or not known or path.stat().st_size < spot.offset:
        return first, 0
    return spot.position, spot.offset


def _skip(path: Path, at: int, offset: int, position: int) -> tuple[int, int]:
    """Go forward to a position's line, or as far as there are whole lines."""
    for block in _blocks(path, offset) if at < position else ():
        lines = block.count(b"\n")
        if at + lines < position:
            at, offset = at + lines, offset + len(block)
            continue
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
        return position, offset + int(ends[position - at - 1]) + 1
    return at, offset


def _first_lines(block: bytes, rows: int) -> tuple[bytes, int]:
    """Return at most so many of a block's lines, and how many they are."""
    lines = block.count(b"\n")
    if lines <= rows:
        return block, lines
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    return block[: ends[rows - 1] + 1], rows


def _lines(text: bytes) -> pl.Series:
    try:
        lines = pl.Series([text.decode()[:-1]]).str.split("\n").explode()
    except UnicodeDecodeError:
        lines = texts(text.split(b"\n")[:-1])
    return lines.str.strip_chars_end("\r") if b"\r" in text else lines


def _blocks(path: Path, offset: int) -> Iterator[bytes]:
    """Yield a file's whole lines from a byte on, some megabytes at a time."""
    with path.open("rb") as file:
        file.seek(offset)
        rest = b""
        while block := file.read(BLOCK):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                yield whole + newline


def _gone(spool: Spool, source: str, first: int, end: int) -> LogError:
    return LogError(
        f"{source}: positions [{first}, {end}) are gone from {spool.folder}; put the files back, "
        "or start a new lake"
    )
