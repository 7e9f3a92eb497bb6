"""Pieces: parts of delivered files that workers read each for itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from isopach.lake.places import Place
from isopach.pipelines.deliveries import DeliveredFile, Delivery

PIECE_ROWS = 1 << 20
STAMP_BYTES = 48
"""What position, key hash, business date and the like add to a row in memory."""
TEXT_GROWTH = {None: 1.0, "gzip": 5.0, "zstd": 6.0}


@dataclass(frozen=True)
class Piece:
    """A file, or some row groups of a Parquet file; `first_row` is its first row's position."""

    site: str
    day: date
    file: DeliveredFile
    row_groups: tuple[int, ...] | None
    first_row: int
    rows: int
    bytes: int  # of the file, for the piece that counts them
    in_memory: int  # bytes, estimated


def plan_pieces(
    landing: Place, feed: str, day: date, deliveries: list[Delivery], usual: Mapping[str, int]
) -> list[Piece]:
    """Return the pieces of usable deliveries, with their rows as far as known before reading.

    Rows come from Parquet footers, else the manifest, else the site's usual count.
    """
    work = [(d, file) for d in deliveries if not d.problem for file in d.files]

    def pieces(item: tuple[Delivery, DeliveredFile]) -> list[Piece]:
        delivery, file = item
        if file.format == "parquet":
            found = list(_parquet_pieces(landing / feed / file.path, delivery.site, day, file))
            if found:
                return found
        rows = file.rows if file.rows is not None else usual.get(delivery.site, 0)
        growth = TEXT_GROWTH[file.compression] * file.size
        size = int(growth + rows * STAMP_BYTES)
        return [Piece(delivery.site, day, file, None, 0, rows, file.size, size)]

    with ThreadPoolExecutor(16) as pool:
        return [piece for some in pool.map(pieces, work) for piece in some]


def _parquet_pieces(place: Place, site: str, day: date, file: DeliveredFile) -> Iterator[Piece]:
    """Yield runs of row groups of about PIECE_ROWS rows; none if the footer cannot be read."""
    try:
        footer = pq.read_metadata(place.path, filesystem=place.filesystem)
    except (OSError, pa.ArrowException):
        return  # read again, and set aside with the reason, by the worker
    groups: list[int] = []
    first = rows = size = 0
    counted = file.size
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        groups.append(number)
        rows += group.num_rows
        size += group.total_byte_size
        if rows >= PIECE_ROWS or number == footer.num_row_groups - 1:
            memory = size + rows * STAMP_BYTES
            yield Piece(site, day, file, tuple(groups), first, rows, counted, memory)
            groups, first, rows, size, counted = [], first + rows, 0, 0, 0
