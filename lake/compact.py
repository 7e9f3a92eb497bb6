"""Compact: join the small files that a stream leaves, beside those who write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import polars as pl

from isopach.lake.commits import Active, Change, Snapshot, commit, newest
from isopach.lake.places import Place
from isopach.lake.replace import read_file, write_rows
from isopach.lake.tables import Table

SMALL = 8 << 20
"""Bytes: larger files stay as they are."""
FEWEST = 32
"""Small files of a partition that are worth a commit."""
MOST = 64 << 20
"""Bytes that are read at a time, which bounds the memory: some ten times as much."""


def compact(lake: Place, table: Table, fewest: int = FEWEST) -> int:
    """Join small files, partition by partition; return how many there are fewer.

    The rows stay what they are. Where another writer was first and took one of the files away,
    they are left for the next time.
    """
    now = newest(lake, table)
    groups = list(small_groups(now.files, fewest)) if now else []
    return sum(_join(lake, table, group) for group in groups)


def small_groups(files: Sequence[Active], fewest: int) -> Iterator[list[Active]]:
    """Yield small files that lie in one partition, of at most MOST bytes together."""
    by_partition: dict[tuple[tuple[str, str | None], ...], list[Active]] = defaultdict(list)
    for file in files:
        if file.size < SMALL:
            by_partition[tuple(file.partition.items())].append(file)
    for small in by_partition.values():
        group: list[Active] = []
        size = 0
        for file in sorted(small, key=lambda one: one.size):
            if size + file.size > MOST:
                break
            group.append(file)
            size += file.size
        if len(group) >= fewest:
            yield group


def _join(lake: Place, table: Table, files: Sequence[Active]) -> int:
    rows = pl.concat(read_file(lake, table, file, table.schema.names) for file in files)
    joined = write_rows(lake, table, rows)
    tried = won = False

    def decide(now: Snapshot) -> Change | None:
        nonlocal tried, won
        there = {file.path for file in now.files}
        there_already = joined.path in there
        possible = {file.path for file in files} <= there
        tried, won = tried or possible, possible or there_already
        return Change([joined], files, same_rows=True) if possible and not there_already else None

    commit(lake, table, decide)
    if won:
        return len(files) - 1
    if not tried:  # else a version may have it, if only the answer was lost
        (table.place(lake) / joined.path).delete()
    return 0
