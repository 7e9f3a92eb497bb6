"""A lake with a stream and a settled night of the same date, and one more night before it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from commands import Result, isopach
from small_night import DAY
from small_stream import SmallStream, line
from tampering import Lake

from isopach.feeds.spool import SpoolWriter
from isopach.jobs.micro_batches import Options
from isopach.jobs.stream import run_stream
from isopach.pipelines.spool import Spool

AT = f"{DAY}T16:00"
BEFORE = DAY - timedelta(1)
SETTLED = frozenset({"nyc", "kathmandu"})


@dataclass(frozen=True)
class SettledLake(Lake):
    """The lake, by the commands that prove it."""

    night: SmallStream

    def command(self, name: str, *more: str | Path) -> Result:
        feed = self.night.folder / "visits.yaml"
        return isopach(name, feed, "--lake", self.night.lake.uri, *more)

    def evidence(self, *more: str | Path) -> Path:
        """Write evidence of the day, and return the file."""
        file = self.night.folder / "evidence.json"
        written = self.command("evidence", "--date", f"{DAY}", "--out", file, *more)
        assert written.code == 0, written.err
        return file

    def broken(self, file: Path) -> Any:
        """Return what does not hold any more of evidence; None if all does."""
        found = self.command("verify", "--evidence", file, "--json")
        assert found.code == (0 if found.document["holds"] else 1)
        assert found.document["holds"] == (found.document["broken"] is None)
        return found.document["broken"]

    def send(self, *lines: str) -> None:
        """Stream events into the lake."""
        with SpoolWriter(self.night.folder / "spool", "visits", "0") as writer:
            writer.append(list(lines))
        log = Spool(self.night.folder / "spool", "visits")
        feed = json.loads(self.night.declaration.feed.model_dump_json())
        options = Options(until_idle=True)
        run_stream(self.night.declaration, log, self.night.lake, options, {"feed": feed})

    def copy(self, folder: Path) -> SettledLake:
        """Return a copy of all of it elsewhere."""
        shutil.copytree(self.night.folder, folder, dirs_exist_ok=True)
        return SettledLake(SmallStream(folder, self.night.declaration))


def settled_lake(folder: Path) -> SettledLake:
    """Return a lake in which two sites are settled, and one has a stream's rows alone.

    The night and its stream differ in four records, and each set rows aside.
    """
    lake = SettledLake(SmallStream.at(folder))
    for site in SETTLED:
        rows = [json.loads(line(site, f"{site}-{n}", f"{BEFORE}T16:00")) for n in range(3)]
        lake.night.deliver(site, rows, day=BEFORE)
    lake.night.run(BEFORE, only=SETTLED)
    sent = [line("nyc", f"nyc-{n}", AT, minutes=n % 3) for n in range(6)]
    lake.send(*sent, "{", sent[0], *(line("pago", f"pago-{n}", AT) for n in range(4)))
    day = {
        "nyc": [*sent[:5], line("nyc", "never", AT), line("nyc", "bad", AT, fee="x"), sent[1]],
        "kathmandu": [line("kathmandu", f"kathmandu-{n}", f"{DAY}T06:15") for n in range(3)],
    }
    for site, lines in day.items():
        lake.night.deliver(site, [json.loads(text) for text in lines])
    lake.night.run(only=SETTLED)
    return lake
