"""The ledger of runs: who ran what, with which code and parameters, and how it ended."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import polars as pl

from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.lake.replace import upsert

RUNNING = "running"


@dataclass(frozen=True)
class Run:
    """A row of `ledger/runs`; times are UTC."""

    run: str
    feed: str
    cadence: str
    mode: str
    engine: str
    who: str
    code_version: str
    parameters: str
    parameters_hash: str
    started: datetime
    ended: datetime | None = None
    outcome: str = RUNNING
    versions_in: str = "{}"
    versions_out: str = "{}"
    process: str = ""
    timings: str | None = None

    @property
    def here(self) -> bool:
        """Tell whether its process was started on this host."""
        return (self.process or "").rpartition("/")[0] == socket.gethostname()

    @property
    def killed(self) -> bool:
        """Tell whether the process is gone; of another host that cannot be known, so it is not."""
        if not self.here:
            return False
        try:
            os.kill(int(self.process.rpartition("/")[2]), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # it is there, and another user's
        return False

    def ended_as(self, outcome: str, versions_out: dict[str, int | None]) -> Run:
        """Return the run as it ended."""
        now = datetime.now(UTC)
        return replace(self, ended=now, outcome=outcome, versions_out=json.dumps(versions_out))


def new_run(feed: str, cadence: str, mode: str, engine: str, parameters: dict[str, Any]) -> Run:
    """Return a run that starts now; its id sorts by time."""
    started = datetime.now(UTC)
    text = json.dumps(parameters, sort_keys=True, default=str)
    return Run(
        run=f"{started:%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}",
        feed=feed,
        cadence=cadence,
        mode=mode,
        engine=engine,
        who=f"{getpass.getuser()}@{socket.gethostname()}",
        code_version=version("isopach"),
        parameters=text,
        parameters_hash=hashlib.sha256(text.encode()).hexdigest(),
        started=started,
        process=f"{socket.gethostname()}/{os.getpid()}",
    )


def runs_under_way(lake: Place, feed: str) -> list[Run]:
    """Return a feed's runs that have not recorded how they ended."""
    open_ones = (pl.col("feed") == feed) & (pl.col("outcome") == RUNNING)
    rows = scan(lake, tables.RUNS).filter(open_ones).collect()
    return [Run(**row) for row in rows.iter_rows(named=True)]


def record_run(lake: Place, run: Run) -> None:
    """Write a run to the ledger, in place of what it said before."""
    upsert(
        lake,
        tables.RUNS,
        pl.DataFrame([asdict(run)], schema_overrides={"ended": pl.Datetime("us", "UTC")}),
        ["run"],
    )
