"""Read pieces of delivered files into batches, every row with its position."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from isopach.feeds.feed import Feed
from isopach.lake.places import Place
from isopach.pipelines.json_lines import decode_json
from isopach.pipelines.pieces import Piece
from isopach.pipelines.progress import READ
from isopach.transforms.batches import BATCH_ROWS, repeated, with_column
from isopach.transforms.counts import Tally, Window
from isopach.transforms.prepare import META, Arrival
from isopach.transforms.quarantine import UNREADABLE, quarantined

BLOCK_BYTES = 1 << 23
RAGGED = "wrong_number_of_fields"
CODE_BYTES = 4


class UnreadableError(Exception):
    """A file that cannot be read, or not to its end."""


class Read(NamedTuple):
    """The outputs of ReadPieces."""

    arrivals: beam.PCollection[Arrival]
    quarantined: beam.PCollection[pa.RecordBatch]
    tallies: beam.PCollection[tuple[Window, Tally]]


@dataclass
class ReadPieces(beam.PTransform):  # type: ignore[misc]
    """Read pieces into arrivals; a file that cannot be read goes to quarantine as a whole."""

    feed: Feed
    landing: Place

    def expand(self, pieces: beam.PCollection[Piece]) -> Read:
        outputs = pieces | "Read files" >> beam.FlatMap(
            _tagged, feed=self.feed, landing=self.landing
        ).with_output_types(
            Arrival, quarantined=pa.RecordBatch, tallies=tuple[Window, Tally]
        ).with_outputs("quarantined", "tallies", main="arrivals")
        return Read(outputs.arrivals, outputs.quarantined, outputs.tallies)


def _tagged(piece: Piece, feed: Feed, landing: Place) -> Iterator[Any]:
    window = (piece.site, piece.day)
    yield beam.pvalue.TaggedOutput("tallies", (window, Tally(bytes=piece.bytes)))
    try:
        for batch in read(piece, feed, landing):
            READ.add(batch.num_rows)
            yield Arrival(piece.site, piece.day, batch)
    except UnreadableError as error:
        yield beam.pvalue.TaggedOutput("quarantined", unreadable(piece, error))
        yield beam.pvalue.TaggedOutput("tallies", (window, Tally(unreadable=1)))


def unreadable(piece: Piece, error: Exception) -> pa.RecordBatch:
    """Return the quarantine row that stands for a file that cannot be read."""
    raw = json.dumps({"file": piece.file.path, "error": str(error)})
    return quarantined(
        pl.DataFrame(
            {
                "disposition": [UNREADABLE],
                "reason": ["unreadable_file"],
                "raw": [raw],
                "site": [piece.site],
                "business_date": [piece.day],
                "_source": [piece.file.path],
            }
        )
    )


def read(piece: Piece, feed: Feed, landing: Place) -> Iterator[pa.RecordBatch]:
    """Yield a piece's rows with `_source` and `_position`; raises UnreadableError.

    Holds one batch at a time: BATCH_ROWS rows of Parquet, or BLOCK_BYTES of text.
    """
    place = landing / feed.feed / piece.file.path
    readers = {"parquet": _parquet, "csv": _csv, "json": _json}
    position = piece.first_row
    try:
        _check_unchanged(piece, place)
        for batch in readers[piece.file.format](piece, feed, place):
            batch = with_column(batch, "_source", repeated(piece.file.path, batch.num_rows))
            if "_position" not in batch.schema.names:
                numbers = np.arange(position, position + batch.num_rows)
                batch = with_column(batch, "_position", pa.array(numbers))
                position += batch.num_rows
            yield batch
        _check_unchanged(piece, place)
    except (OSError, pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def _check_unchanged(piece: Piece, place: Place) -> None:
    info = place.info()
    if (info.size, info.mtime_ns) != (piece.file.size, piece.file.changed):
        raise UnreadableError("the file changed after its delivery was found; deliver it anew")


def _parquet(piece: Piece, feed: Feed, place: Place) -> Iterator[pa.RecordBatch]:
    footer = pq.read_metadata(place.path, filesystem=place.filesystem)
    with pq.ParquetFile(
        place.path,
        metadata=footer,
        filesystem=place.filesystem,
        read_dictionary=_repeating(footer),
    ) as file:
        names = _own_names(file.schema_arrow.names, feed)
        for batch in file.iter_batches(BATCH_ROWS, row_groups=piece.row_groups):
            yield batch.rename_columns(names)


def _repeating(footer: pq.FileMetaData) -> list[str]:
    """Return columns of text whose values repeat so often that they are best read as codes."""
    if not footer.num_row_groups:
        return []
    group = footer.row_group(0)
    chunks = [group.column(index) for index in range(group.num_columns)]
    return [
        chunk.path_in_schema
        for chunk in chunks
        if chunk.physical_type == "BYTE_ARRAY"
        and chunk.total_uncompressed_size < CODE_BYTES * chunk.num_values
    ]


def _own_names(names: Sequence[str], feed: Feed) -> list[str]:
    """Return a file's column names, numbered where another or one of ours is already so named."""
    seen = Counter(META)
    own = []
    for name in names:
        seen[name] += 1
        if seen[name] > 1 and name in feed.columns:
            raise UnreadableError(f"column {name!r} stands in it more than once")
        own.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return own


def _csv(piece: Piece, feed: Feed, place: Place) -> Iterator[pa.RecordBatch]:
    """Read a CSV file as text; a line with too many or few fields is a row with an error."""
    header = _header(piece, place)
    if not header:
        return
    names = _own_names(header, feed)
    ragged: dict[int, str] = {}  # by position

    def keep(row: pacsv.InvalidRow) -> str:
        ragged[row.number - 2] = row.text  # Arrow counts from one, the header first
        return "skip"

    with (
        _open(piece, place) as stream,
        pacsv.open_csv(stream, *_csv_options(header, keep)) as reader,
    ):
        following = 0
        for batch in reader:
            rows = batch.num_rows
            places = np.arange(following, following + rows + len(ragged))
            places = np.setdiff1d(places, list(ragged), assume_unique=True)[:rows]
            following = int(places[-1]) + 1 if rows else following
            yield with_column(batch.rename_columns(names), "_position", pa.array(places))
        if ragged:
            yield _ragged(ragged)


def _csv_options(header: list[str], keep: Any) -> tuple[Any, Any, Any]:
    return (
        pacsv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        pacsv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep),
        pacsv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.large_string()),
            strings_can_be_null=True,
            null_values=[""],
            quoted_strings_can_be_null=False,
        ),
    )


def _header(piece: Piece, place: Place) -> list[str]:
    """Return a CSV file's column names; none if no row follows them."""
    with _open(piece, place) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
        names: list[str] = next(filter(None, csv.reader(text)), [])
        return names if any(line.strip() for line in text) else []


def _ragged(lines: dict[int, str]) -> pa.RecordBatch:
    columns = [
        pa.array([json.dumps(line) for line in lines.values()], pa.large_string()),
        pa.array([RAGGED] * len(lines), pa.large_string()),
        pa.array(lines, pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["_raw", "_error", "_position"])


def _open(piece: Piece, place: Place) -> pa.NativeFile:
    return place.filesystem.open_input_stream(place.path, compression=piece.file.compression)


def _json(piece: Piece, feed: Feed, place: Place) -> Iterator[pa.RecordBatch]:
    """Read JSON lines; a line that is not a JSON object is a row with an error."""
    with _open(piece, place) as stream:
        rest = stream.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
        while block := stream.read(BLOCK_BYTES):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                yield from _lines(whole, feed)
        yield from _lines(rest, feed)


def _lines(text: bytes, feed: Feed) -> Iterator[pa.RecordBatch]:
    lines = pl.Series("_raw", text.decode().split("\n"), pl.String)
    lines = lines.str.strip_chars_end("\r")
    lines = lines.filter(lines != "")
    if len(lines):
        yield from decode_json(lines, feed)
