"""The night by DuckDB and deltalake."""

from __future__ import annotations

import duckdb
from deltalake import ColumnProperties, WriterProperties, write_deltalake

from bench.peers.task import MOSTLY_DISTINCT, Task, parse

ONE_EACH = {name: ColumnProperties(dictionary_enabled=False) for name in MOSTLY_DISTINCT}
WRITER = WriterProperties(compression="SNAPPY", column_properties=ONE_EACH)
BATCH_ROWS = 100_000

# As fast as DISTINCT ON, in half the memory.
NIGHT = """
    SELECT *
    FROM (
        SELECT
            event_id::VARCHAR AS event_id,
            store::VARCHAR AS store,
            sold_at::TIMESTAMPTZ AS sold_at,
            sku::VARCHAR AS sku,
            quantity::INTEGER AS quantity,
            unit_price::DECIMAL(10, 2) AS unit_price,
            customer::VARCHAR AS customer,
            (quantity::DECIMAL(10, 0) * unit_price::DECIMAL(10, 2))::DECIMAL(20, 2) AS revenue,
            store AS site,
            $day::DATE AS business_date,
            filename AS _source,
            file_row_number AS _position
        FROM read_parquet($files, filename = true, file_row_number = true)
        JOIN store_days USING (store)
        WHERE sold_at >= opens AND sold_at < closes
          AND event_id IS NOT NULL AND sku IS NOT NULL
    )
    QUALIFY row_number() OVER (PARTITION BY store, event_id ORDER BY _source, _position) = 1
"""


def consolidate(task: Task) -> None:
    """Append the night to the Delta table, streaming from the query into the writer."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        load_store_days(connection, task)
        query = connection.sql(NIGHT, params={"day": task.day, "files": task.files()})
        write_deltalake(
            task.out,
            query.to_arrow_reader(BATCH_ROWS),
            mode="append",
            partition_by=["business_date"],
            writer_properties=WRITER,
        )


def load_store_days(connection: duckdb.DuckDBPyConnection, task: Task) -> None:
    """Create the table of each store's business date as a UTC interval."""
    connection.execute(
        "CREATE TABLE store_days (store VARCHAR, opens TIMESTAMPTZ, closes TIMESTAMPTZ)"
    )
    days = [list(day) for day in task.store_days()]
    connection.executemany("INSERT INTO store_days VALUES (?, ?, ?)", days)


if __name__ == "__main__":
    consolidate(parse())
