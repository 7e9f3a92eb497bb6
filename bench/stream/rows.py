"""Whether a Delta table holds the complete events of a topic, each once, with all their values."""

from __future__ import annotations

from pathlib import Path

from deltalake import DeltaTable

from bench.compare import COLUMNS, Fingerprint, fingerprint_of, literal, query_difference
from bench.peers.task import REQUIRED

PAYLOAD = {
    name: COLUMNS[name]
    for name in ("event_id", "store", "sold_at", "sku", "quantity", "unit_price", "customer")
}
SOLD_AT = "epoch_us((line->>'sold_at')::TIMESTAMPTZ)"
TYPED = {"sold_at": SOLD_AT, "quantity": "(line->>'quantity')::INTEGER"}
PRICE = {"unit_price": "(line->>'unit_price')::DECIMAL(38, 6)"}


def of_topic(lines: Path) -> str:
    """Return the query for a topic's complete events, from the file of its lines."""
    columns = {name: f"line->>'{name}'" for name in PAYLOAD} | TYPED | PRICE
    names = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    complete = " AND ".join(f"{name} IS NOT NULL" for name in REQUIRED)
    every = f"SELECT {names} FROM read_parquet({literal(str(lines))})"
    return f"SELECT * FROM ({every}) WHERE {complete}"


def of_table(table: Path) -> str:
    """Return the query for the events in a Delta table."""
    files = [uri.removeprefix("file://") for uri in DeltaTable(table).file_uris()]
    if not files:
        raise ValueError(f"the Delta table at {table} has no files")
    names = ", ".join(f"{sql} AS {name}" for name, sql in PAYLOAD.items())
    paths = ", ".join(map(literal, files))
    return f"SELECT {names} FROM read_parquet([{paths}], hive_partitioning = false)"


def expected(lines: Path) -> Fingerprint:
    """Return the fingerprint of a topic's complete events."""
    return fingerprint_of(of_topic(lines), PAYLOAD)


def mismatch(lines: Path, wanted: Fingerprint, table: Path) -> str:
    """Say how a Delta table differs from a topic, nothing if it does not."""
    try:
        found = of_table(table)
        if fingerprint_of(found, PAYLOAD) == wanted:
            return ""
        return str(query_difference(of_topic(lines), found))
    except Exception as error:  # whatever is wrong with a peer's table is that peer's result
        return f"{type(error).__name__}: {error}"
