"""A settled night whose rows have what formats trip over, and what was exported of it."""

from __future__ import annotations

import hashlib
import json
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv
from small_night import DAY, FEED, SmallNight, declare, row

from isopach.jobs.exporting import Engine, Exported, Format, export
from isopach.jobs.nightly import feed_tables
from isopach.jobs.settled import settled_days
from isopach.lake.places import Place
from isopach.lake.tables import empty_frame

ODD: dict[str, list[Any]] = {
    "note": [
        "", None, "plain", 'a "quoted" word', "two\nlines", "dos\r\nlines", "mac\rline", " edges ",
        "a,b;c\td", "\\", '\\"', '"', "null", "NaN", "1.50", "Ålesund 💧", "# no comment",
    ],
    "fee": ["0.00", None, "-0.01", "99999999.99", "1.50"],
    "tiny": ["0.0000000001", None, "0", "-1234567890.0000000001", "3"],
    "weight": [0.1, None, -0.0, 1e300, 1e-300, 12345678.9, 2.0],
    "open": [True, False, None],
    "born": ["2026-03-08", None, "1850-01-01"],
    "minutes": [0, None, -(2**31), 2**31 - 1],
    "large": [2**63 - 1, None, -(2**63), 2**53 + 1],
}  # fmt: skip
COLUMNS = {
    **FEED["columns"],
    "tiny": "decimal(20,10)",
    "weight": "float64",
    "open": "boolean",
    "born": "date",
    "large": "int64",
    "seen": "timestamp",
}
SEEN = ["1900-01-01T00:00:00.000001Z", None, "2026-03-08T09:30:00.5+05:45", "2262-01-01T00:00:00Z"]
ROWS = 240


def odd_rows(site: str, count: int = ROWS) -> list[dict[str, Any]]:
    """Return rows in which each odd value meets many of the others."""
    values = {name: islice(cycle(v), count) for name, v in {**ODD, "seen": SEEN}.items()}
    return [
        row(site, f"{site}-{n}", **dict(zip(values, parts, strict=True)))
        for n, parts in enumerate(zip(*values.values(), strict=True))
    ]


def odd_night(folder: Path) -> SmallNight:
    """Return a lake in which two sites are settled and one is held."""
    night = SmallNight(folder, declare(folder, {**FEED, "columns": COLUMNS}))
    for site in ("nyc", "kathmandu"):
        night.deliver(site, odd_rows(site))
    night.deliver("pago", [row("pago", "p1")], rows=5)
    night.run(only=frozenset({"nyc", "kathmandu", "pago"}))
    return night


def exported(night: SmallNight, to: Path, form: Format, engine: Engine) -> Exported:
    """Export the one date there is."""
    (settled,) = settled_days(night.lake, night.declaration.feed, None)
    return export(settled, Place.of(to), form, engine, "test")


def manifest(to: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((to / f"business_date={DAY}/_manifest.json").read_text())
    return found


def read(night: SmallNight, to: Path) -> pl.DataFrame:
    """Return the rows of the files that a manifest names, which have the hashes it says."""
    said, parts = manifest(to), []
    names = [*night.declaration.feed.payload.names, "site"]
    kinds = empty_frame(feed_tables(night.declaration).records.schema).schema
    schema = {name: kinds[name] for name in names}
    for file in said["files"]:
        path = to / f"business_date={DAY}" / file["name"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
        assert path.stat().st_size == file["bytes"]
        parts.append(pl.read_parquet(path) if said["format"] == "parquet" else csv(path, schema))
    rows = pl.concat(parts)
    assert rows.columns == list(schema)
    return rows.cast(schema).sort("id")  # type: ignore[arg-type]


def csv(path: Path, schema: dict[str, Any]) -> pl.DataFrame:
    """Return a CSV file's rows as a reader finds them that knows the columns' types."""
    texts = pl.from_arrow(
        arrow_csv.read_csv(
            path,
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(schema, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    )
    assert isinstance(texts, pl.DataFrame)
    times = [n for n, kind in schema.items() if isinstance(kind, pl.Datetime)]
    bools = [n for n, kind in schema.items() if kind == pl.Boolean]
    return texts.with_columns(
        pl.col(times).str.to_datetime("%Y-%m-%dT%H:%M:%S%.6fZ", time_unit="us", time_zone="UTC"),
        pl.col(bools) == "true",
        pl.col([n for n, kind in schema.items() if kind == pl.Date]).str.to_date(),
    )


def settled(night: SmallNight) -> pl.DataFrame:
    """Return the rows that are settled, by the table itself."""
    names = [*night.declaration.feed.payload.names, "site"]
    return night.table("records").select(names).sort("id")
