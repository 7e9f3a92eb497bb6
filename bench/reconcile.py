"""Batch against stream of one night: how long it takes beside staging, and beside one join."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from rich.table import Table

from bench.night import CACHE, DAY
from bench.race import Say, scratch
from isopach.feeds.produce import produce
from isopach.feeds.sales import write_night
from isopach.feeds.sales_events import Plan
from isopach.feeds.targets import SpoolTarget

NIGHTS = ("same", "other", "every")
"""`other` differs in a window alone, `every` by a record in each, so that all are compared."""
COMPARED = ("store", "sold_at", "sku", "quantity", "unit_price", "customer", "revenue")
JOIN = """
    SELECT count(*) FROM read_parquet({stream}) s
    FULL OUTER JOIN read_parquet({batch}) b USING (site, event_id)
    WHERE s._source IS NULL OR b._source IS NULL OR {differs}
"""


@dataclass(frozen=True)
class Compared:
    """Seconds to stage a night, to reconcile it, and to join both sides by DuckDB and Spark.

    `spark` is of a session that has joined once before, None where it was not asked. `equal`
    tells whether all found as many records to differ.
    """

    name: str
    rows: int
    windows: int
    differing: int
    differences: int
    stage: float
    reconcile: float
    duckdb: float
    spark: float | None
    equal: bool

    def document(self) -> dict[str, Any]:
        """Return it as JSON data, with what reconciling takes of staging and of the join."""
        ratios = {
            "of_staging": self.reconcile / self.stage,
            "of_duckdb": self.reconcile / self.duckdb,
            **({"of_spark": self.reconcile / self.spark} if self.spark else {}),
        }
        return {**asdict(self), **{name: round(value, 3) for name, value in ratios.items()}}


def race(
    rows: int,
    *,
    nights: Sequence[str] = NIGHTS,
    spark: bool = False,
    cache: Path = CACHE,
    say: Say = print,
) -> list[Compared]:
    """Stream a night's events; compare them with the same night, and with two that differ.

    Args:
        nights: which of these to compare.
        spark: also join both sides on Spark.
    """
    with scratch(cache) as folder:
        folder.mkdir()
        say(f"streaming {rows:,} events")
        produce(SpoolTarget(folder / "spool"), [DAY], Plan(rows=rows))
        lake = folder / "lake"
        source = f"spool:{folder / 'spool'}"
        isopach(["stream", "sales", "--source", source, "--lake", str(lake), "--until-idle"])
        write_night(folder / "same", DAY, rows=rows)
        shutil.copytree(folder / "same", folder / "other")
        shutil.copytree(folder / "same", folder / "every")
        change_one_store(folder / "other")
        for file in night_files(folder / "every"):
            table = pq.read_table(file)
            pq.write_table(with_quantities(table, lambda n, q: (q or 0) + (not n)), file)
        return [compared(name, rows, folder, lake, spark, say) for name in nights]


def night_files(landing: Path) -> list[Path]:
    """Return the files of a night's deliveries, the small ones first."""
    return sorted(landing.glob(f"sales/{DAY}/*/*/*.parquet"), key=lambda f: f.stat().st_size)


def with_quantities(table: pa.Table, change: Callable[[int, int | None], int | None]) -> pa.Table:
    """Return a table with other quantities, made from the row's number and what it had."""
    changed = [change(n, q) for n, q in enumerate(table.column("quantity").to_pylist())]
    place, field = table.schema.get_field_index("quantity"), table.schema.field("quantity")
    return table.set_column(place, field, pa.array(changed, field.type))


def change_one_store(landing: Path) -> None:
    """Leave out some rows of a store of middle size, and change the quantity of others."""
    files = night_files(landing)
    file = files[len(files) // 2]
    table = pq.read_table(file)
    cut = max(table.num_rows // 100, 1)
    table = with_quantities(table, lambda n, q: q if n % 10 else (q or 0) + 1).slice(cut)
    pq.write_table(table, file)
    manifest = file.with_name("manifest.json")
    said = json.loads(manifest.read_text())
    said["rows"] -= cut
    for one in said["files"]:
        one["rows"] -= cut if one["name"] == file.name else 0
    manifest.write_text(json.dumps(said))


def compared(name: str, rows: int, folder: Path, lake: Path, spark: bool, say: Say) -> Compared:
    """Compare one landing zone with the stream, by isopach, DuckDB and, if asked, Spark."""
    landing, batch = folder / name, folder / f"lake-{name}"
    night = ["sales", "--date", f"{DAY}", "--landing", str(landing)]
    found = isopach(["reconcile", *night, "--lake", str(lake)])
    isopach(["nightly", *night, "--lake", str(batch)])
    started = perf_counter()
    joined = differing_rows(lake, batch)
    seconds = perf_counter() - started
    there = joined_on_spark(lake, batch) if spark else None
    one = Compared(
        name=name,
        rows=rows,
        windows=found["compared"],
        differing=len({(d["site"], d["business_date"]) for d in found["differences"]}),
        differences=len(found["differences"]),
        stage=found["seconds"]["stage"],
        reconcile=found["seconds"]["reconcile"],
        duckdb=round(seconds, 3),
        spark=round(there["seconds"], 3) if there else None,
        equal={joined, there["rows"] if there else joined} == {len(found["differences"])},
    )
    say(
        f"{name}: {one.differences:,} records differ in {one.differing} of {one.windows} windows; "
        f"staged in {one.stage:.2f} s, reconciled in {one.reconcile:.2f} s, "
        f"joined by DuckDB in {one.duckdb:.2f} s"
        + (f", by Spark in {one.spark:.2f} s" if one.spark else "")
    )
    return one


def differing_rows(lake: Path, batch: Path) -> int:
    """Return how many records differ between both lakes, by one full outer join."""
    sides = {
        "stream": DeltaTable(lake / "sales/records").file_uris(),
        "batch": DeltaTable(batch / "sales/records").file_uris(),
    }
    differs = " OR ".join(f"s.{name} IS DISTINCT FROM b.{name}" for name in COMPARED)
    query = JOIN.format(differs=differs, **sides)
    row = duckdb.connect().execute(query).fetchone()
    assert row is not None
    return int(row[0])


def joined_on_spark(lake: Path, batch: Path) -> dict[str, Any]:
    """Return how many records differ by Spark's full outer join, and the seconds it took."""
    sides = [str(one / "sales/records") for one in (lake, batch)]
    command = [sys.executable, "-m", "bench.peers.spark_join_peer", *sides, ",".join(COMPARED)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def terminal(found: Sequence[Compared]) -> Table:
    """Return the results for the terminal."""
    table = Table(title="Batch against stream, seconds")
    for name in (
        "night",
        "rows",
        "differ",
        "stage",
        "reconcile",
        "of staging",
        "DuckDB",
        "Spark",
        "equal",
    ):
        table.add_column(name, justify="left" if name == "night" else "right")
    for one in found:
        table.add_row(
            one.name,
            f"{one.rows:,}",
            f"{one.differences:,} in {one.differing} of {one.windows}",
            f"{one.stage:.2f}",
            f"{one.reconcile:.2f}",
            f"{one.reconcile / one.stage:.0%}",
            f"{one.duckdb:.2f}",
            f"{one.spark:.2f}" if one.spark else "",
            "yes" if one.equal else "NO",
            style=None if one.equal else "red",
        )
    return table


def isopach(arguments: Sequence[str]) -> dict[str, Any]:
    """Run a command, and return its JSON; raises RuntimeError if it fails."""
    command = [sys.executable, "-m", "isopach.jobs.cli", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document
