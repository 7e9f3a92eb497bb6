"""Read pieces of delivered files into batches, every row with its position."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
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
from isopach.pipelines.pieces import Piece
from isopach.pipelines.progress import ROWS
from isopach.transforms.batches import BATCH_ROWS, repeated, with_column
from isopach.transforms.counts import Tally, Window
from isopach.transforms.prepare import Arrival
from isopach.transforms.quarantine import UNREADABLE, quarantined

BLOCK_BYTES = 1 << 23
NOT_JSON, RAGGED = "not_json", "wrong_number_of_fields"


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
    size = piece.bytes
    try:
        for batch in read(piece, feed, landing):
            ROWS.add(batch.num_rows)
            yield Arrival(piece.site, piece.day, batch, size)
            size = 0
    except UnreadableError as error:
        yield beam.pvalue.TaggedOutput("quarantined", unreadable(piece, error))
        yield beam.pvalue.TaggedOutput("tallies", ((piece.site, piece.day), Tally(unreadable=1)))


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
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def _check_unchanged(piece: Piece, place: Place) -> None:
    info = place.info()
    if (info.size, info.mtime_ns) != (piece.file.size, piece.file.changed):
        raise UnreadableError("the file changed after its delivery was found; deliver it anew")


def _parquet(piece: Piece, feed: Feed, place: Place) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(place.path, filesystem=place.filesystem) as file:
        yield from file.iter_batches(BATCH_ROWS, row_groups=piece.row_groups)


def _csv(piece: Piece, feed: Feed, place: Place) -> Iterator[pa.RecordBatch]:
    """Read a CSV file as text; a line with too many or few fields is a row with an error."""
    ragged: dict[int, str] = {}  # by position

    def keep(row: pacsv.InvalidRow) -> str:
        ragged[row.number - 2] = row.text  # Arrow counts from one, the header first
        return "skip"

    with (
        _open(piece, place) as stream,
        pacsv.open_csv(stream, *_csv_options(_header(piece, place), keep)) as reader,
    ):
        following = 0
        for batch in reader:
            rows = batch.num_rows
            places = np.arange(following, following + rows + len(ragged))
            places = np.setdiff1d(places, list(ragged), assume_unique=True)[:rows]
            following = int(places[-1]) + 1 if rows else following
            text = batch.cast(pa.schema([(name, pa.large_string()) for name in batch.schema.names]))
            yield with_column(text, "_position", pa.array(places))
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
    with _open(piece, place) as stream:
        first = io.BytesIO(stream.read(BLOCK_BYTES).partition(b"\n")[0] + b"\n")
    names: list[str] = pacsv.open_csv(first).schema.names
    return names


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
        rest = b""
        while block := stream.read(BLOCK_BYTES):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                yield from _lines(whole, feed)
        yield from _lines(rest, feed)


def _lines(text: bytes, feed: Feed) -> Iterator[pa.RecordBatch]:
    if text:
        lines = pl.Series("_raw", text.decode().split("\n"), pl.String)
        lines = lines.str.strip_chars_end("\r")
        yield from decode_json(lines.filter(lines != ""), feed)


def decode_json(lines: pl.Series, feed: Feed) -> Iterator[pa.RecordBatch]:
    """Yield the declared fields of JSON lines as text, with the line as `_raw`."""
    fields = pl.Struct(dict.fromkeys(feed.columns, pl.String))
    try:
        values = lines.str.json_decode(fields)
        error = pl.Series("_error", [None] * len(lines), pl.String)
    except pl.exceptions.ComputeError:  # some line is not JSON: find which
        good = lines.str.json_path_match("$").str.starts_with("{").fill_null(False)
        decoded = lines.filter(good).str.json_decode(fields)
        where = pl.select(pl.when(good).then(good.cum_sum().cast(pl.UInt32) - 1)).to_series()
        values = decoded.gather(where)
        error = pl.select(pl.when(~good).then(pl.lit(NOT_JSON)).alias("_error")).to_series()
    rows = values.struct.unnest().with_columns(error, lines.alias("_raw"))
    yield from rows.to_arrow().combine_chunks().to_batches()
