"""Spools: a feed's events as files of lines that grow, one folder per partition."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import polars as pl

NAME = r"[A-Za-z0-9_.-]+"
FILE = re.compile(r"(\d{20})\.jsonl")
FILE_ROWS = 1_000_000
FILE_BYTES = 1 << 28
BLOCK_BYTES = 1 << 20


class SpoolError(Exception):
    """A spool that cannot be written: the message says which, why, and what to do."""


class SpoolWriter:
    """Append lines to a partition, each at the position that follows the last; one writer at once.

    Goes on after what is there. A last line without an end, as a writer that was killed leaves
    it, is cut off: nobody can have read it, so its position is given again. What `append` has
    returned for is visible to readers at once, and outlasts the process; with `fsync` also the
    machine.
    """

    def __init__(
        self,
        root: Path,
        feed: str,
        partition: str,
        *,
        file_rows: int = FILE_ROWS,
        file_bytes: int = FILE_BYTES,
        fsync: bool = False,
    ) -> None:
        """Open a partition; raises SpoolError if another writer has it.

        Args:
            file_rows: a file that has so many rows, or `file_bytes` bytes, is followed by another.
        """
        self.folder = root / _checked(feed) / _checked(partition)
        self.limits = (file_rows, file_bytes)
        self.fsync = fsync
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = -1
        self._lock = _locked(self.folder)
        try:
            self._go_on()
        except BaseException:
            self.close()
            raise

    def _go_on(self) -> None:
        """Open the last file where its last whole line ends."""
        self._first = max(map(_first_position, self.folder.glob("*.jsonl")), default=0)
        self._file = self._opened(self._first)
        self._size = _cut(self._file)
        self.position = self._first + _count(self._file, self._size)

    def append(self, lines: Iterable[str] | pl.Series) -> int:
        """Append lines and return the position of the first.

        Raises:
            ValueError: for a line with a line break in it; nothing is then written.
            OSError: after which the writer is closed; open it anew to see how far it came.
        """
        series = lines if isinstance(lines, pl.Series) else pl.Series(list(lines), dtype=pl.String)
        if self._file < 0:
            raise SpoolError(f"{self.folder}: the writer is closed; open another")
        first = self.position
        if len(series):
            text = _joined(series)
            self._roll()
            self._write(text)
            self.position += len(series)
        return first

    def _roll(self) -> None:
        """Go on in a new file if the last one is full; one append is never split over files."""
        rows, size = self.limits
        if self.position - self._first >= rows or self._size >= size:
            os.close(self._file)
            self._file = -1
            self._first, self._size = self.position, 0
            self._file = self._opened(self._first)

    def _write(self, text: bytes) -> None:
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if self.fsync:
                os.fsync(self._file)
        except BaseException:
            self.close()
            raise
        self._size += len(text)

    def _opened(self, first: int) -> int:
        path = self.folder / f"{first:020}.jsonl"
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        if self.fsync:
            os.fsync(self._lock)  # the folder, that the file is in it
        return file

    def close(self) -> None:
        """Let go of the partition; closing again does nothing."""
        for file in (self._file, self._lock):
            if file >= 0:
                os.close(file)
        self._file = self._lock = -1

    def __enter__(self) -> SpoolWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _checked(name: str) -> str:
    if not re.fullmatch(NAME, name) or not name.strip("."):
        raise ValueError(f"{name!r} cannot name a feed or partition: give letters, digits, _ . -")
    return name


def _joined(lines: pl.Series) -> bytes:
    """Return lines as bytes, each with its end; raises ValueError if one has another in it."""
    text: bytes = lines.str.join("\n").item().encode() + b"\n"
    if text.count(b"\n") != len(lines) or b"\r" in text:
        at = lines.str.contains("[\r\n]").fill_null(True).arg_true()[0]
        raise ValueError(f"line {at} is none, or has a line break in it: {lines[at]!r:.80}")
    return text


def _locked(folder: Path) -> int:
    """Lock a folder until its descriptor is closed, at the latest when the process ends."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise SpoolError(
            f"{folder}: another writer has this partition; stop it, or write to another"
        ) from error
    return lock


def _first_position(path: Path) -> int:
    match = FILE.fullmatch(path.name)
    if match is None:
        raise SpoolError(f"{path}: not named by 20 digits; such a file is none of a spool, move it")
    return int(match[1])


def _cut(file: int) -> int:
    """Cut a file behind its last line break and return its size."""
    size = end = os.fstat(file).st_size
    while end:
        start = max(0, end - BLOCK_BYTES)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        os.ftruncate(file, end)
    return end


def _count(file: int, size: int) -> int:
    """Return how many line breaks a file has."""
    blocks = range(0, size, BLOCK_BYTES)
    return sum(os.pread(file, BLOCK_BYTES, start).count(b"\n") for start in blocks)
