"""What gates cost: rules on each row, and Great Expectations over what is staged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
import yaml
from deltalake import DeltaTable
from rich.table import Table

from bench.feed import bare_sales
from bench.night import CACHE, DAY
from bench.race import Say, scratch
from bench.reconcile import isopach
from isopach.feeds.load import load_declaration
from isopach.feeds.sales import write_night

PLAIN = """
import os, sys, time
os.environ["GX_ANALYTICS_ENABLED"] = "false"
import great_expectations as gx, json, pyarrow as pa, pyarrow.parquet as pq
started = time.perf_counter()
suite = json.load(open(sys.argv[1]))
names = sorted({one["kwargs"]["column"] for one in suite["expectations"]})
table = pa.concat_tables([pq.read_table(f, columns=names) for f in sys.argv[2:]])
frame = table.to_pandas()
for name in names:
    if pa.types.is_decimal(table.schema.field(name).type):
        frame[name] = frame[name].astype(float)
context = gx.get_context(mode="ephemeral")
asset = context.data_sources.add_pandas("plain").add_dataframe_asset("records")
batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
given = [{k: one[k] for k in ("type", "kwargs", "severity")} for one in suite["expectations"]]
result = batch.validate(gx.ExpectationSuite(name="plain", expectations=given))
print(json.dumps({
    "seconds": time.perf_counter() - started,
    "unexpected": {
        f"{one.expectation_config.type}({one.expectation_config.kwargs['column']})":
            one.result.get("unexpected_count")
        for one in result.results
    },
}))
"""
"""The whole night in one pandas frame, as the library's own guide has it."""


@dataclass(frozen=True)
class Gated:
    """Seconds of a night with its suites and without, and of a plain run of the library.

    `equal` tells whether the plain run found as many rows of each expectation.
    """

    rows: int
    expectations: int
    stage_without: float
    stage: float
    gate: float
    plain: float
    equal: bool

    @property
    def rules(self) -> float:
        return max(self.stage - self.stage_without, 0.0)

    def document(self) -> dict[str, Any]:
        """Return it as JSON data, with what rules and the gate take of staging."""
        ratios = {
            "rules_of_staging": self.rules / self.stage,
            "gate_of_staging": self.gate / self.stage,
            "gate_of_plain": self.gate / self.plain,
        }
        return {**asdict(self), **{name: round(value, 3) for name, value in ratios.items()}}


def race(rows: int, *, repeat: int = 3, cache: Path = CACHE, say: Say = print) -> Gated:
    """Run a night with its feed's suites and without, by turns; the best of each counts."""
    with scratch(cache) as folder:
        folder.mkdir()
        say(f"writing {rows:,} rows")
        write_night(folder / "landing", DAY, rows=rows)
        bare = bare_sales(folder)
        stages: dict[bool, list[float]] = {True: [], False: []}
        gates: list[float] = []
        for turn in range(repeat):
            for suites in (False, True):
                lake = folder / f"lake-{suites}-{turn}"
                night = ["--landing", str(folder / "landing"), "--date", f"{DAY}"]
                feed = "sales" if suites else bare
                phases = isopach(["nightly", feed, *night, "--lake", str(lake)])["phases"]
                stages[suites].append(phases["stage"])
                gates += [phases["gate"]] if suites else []
                say(f"turn {turn + 1}, {'with' if suites else 'without'} suites: {phases}")
        lake = folder / "lake-True-0"
        seconds, unexpected = plain(lake)
        return Gated(
            rows=rows,
            expectations=len(unexpected),
            stage_without=min(stages[False]),
            stage=min(stages[True]),
            gate=min(gates),
            plain=seconds,
            equal=unexpected == found(lake),
        )


def plain(lake: Path) -> tuple[float, dict[str, int | None]]:
    """Validate a lake's records by the library alone; return seconds and unexpected rows."""
    suite = load_declaration("sales").feed.suite
    assert suite is not None
    file = lake / "suite.json"
    file.write_text(suite.model_dump_json())
    uris = DeltaTable(lake / "sales/records").file_uris()
    command = [sys.executable, "-c", PLAIN, str(file), *uris]
    started = perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document = yaml.safe_load(done.stdout.splitlines()[-1])
    assert document["seconds"] <= perf_counter() - started
    return round(document["seconds"], 3), document["unexpected"]


def found(lake: Path) -> dict[str, int | None]:
    """Return the unexpected rows of each expectation, as the gate wrote them to the ledger."""
    gates = pl.read_delta(str(lake / "ledger/gates")).filter(
        pl.col("site").is_null(), suite="sales"
    )
    return dict(gates.select("expectation", "unexpected").iter_rows())


def terminal(results: Sequence[Gated]) -> Table:
    """Return the results for the terminal."""
    table = Table(title="Gates, seconds")
    for name in ("rows", "stage", "rules", "of staging", "gate", "of staging", "plain", "equal"):
        table.add_column(name, justify="right")
    for one in results:
        table.add_row(
            f"{one.rows:,}",
            f"{one.stage:.2f}",
            f"{one.rules:.2f}",
            f"{one.rules / one.stage:.0%}",
            f"{one.gate:.2f}",
            f"{one.gate / one.stage:.0%}",
            f"{one.plain:.2f}",
            "yes" if one.equal else "NO",
            style=None if one.equal else "red",
        )
    return table
