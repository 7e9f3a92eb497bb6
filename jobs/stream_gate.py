"""Gate a stream: every so often, what has landed since the last look is held against the suite."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock, Thread

import polars as pl
import pyarrow as pa
from deltalake.exceptions import DeltaError

from isopach.expectations.gate import Outcome, Table, gate
from isopach.expectations.rules import suite_rules, suite_schema
from isopach.expectations.sightings import Sightings
from isopach.feeds.feed import Feed
from isopach.feeds.suites import Suite
from isopach.jobs.gating import gate_rows
from isopach.lake import tables
from isopach.lake.commits import Active, newest
from isopach.lake.pausing import pause_totals, resume_totals
from isopach.lake.places import Place
from isopach.lake.replace import read_file, revise
from isopach.lake.tables import Table as LakeTable
from isopach.lake.tables import empty_frame
from isopach.lake.windows import WINDOW
from isopach.pipelines.watching import note_gate

LOG = logging.getLogger("isopach.stream")
MOST_ROWS = 1 << 21
"""Rows that one look reads, the newest; a backlog that drains is looked at in part."""
COMPACTED = "part-"
"""How files begin that hold rows of several landings."""
ASIDE = {"site": pl.String, "business_date": pl.Date, "reason": pl.String, "column": pl.String}


@dataclass
class StreamGate:
    """Looks at what a run has landed since the look before; `failed` are reasons of the last one.

    All rows of a look are one batch: grains are left alone, and so are expectations whose
    `meta.stream` is false, such as how many rows a whole day has.
    """

    lake: Place
    feed: Feed
    run: str
    failed: list[str] = field(default_factory=list)
    paused: bool = False
    _seen: dict[str, set[str]] = field(default_factory=dict)
    _last: dict[str, dict[str, int]] = field(default_factory=dict)
    _busy: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        for table in (self._records, self._quarantine):
            self._fresh(table)

    @property
    def _records(self) -> LakeTable:
        return tables.records(self.feed.feed, self.feed.payload)

    @property
    def _quarantine(self) -> LakeTable:
        return tables.quarantine(self.feed.feed)

    @property
    def suite(self) -> Suite | None:
        """The suite, each of its expectations over all rows at once."""
        suite = self.feed.suite
        found = tuple(
            one.model_copy(update={"meta": {**one.meta, "grain": "run"}})
            for one in (suite.expectations if suite else ())
            if one.meta.get("stream", True)
        )
        return Suite(name=suite.name, expectations=found) if suite and found else None

    def look(self) -> list[Outcome]:
        """Hold what has landed since against the suite, and do as the feed says if it fails."""
        suite = self.suite
        if suite is None:
            return []
        with self._busy:
            table = self._landed(suite)
            outcomes = gate(suite, table) if table.windows else []
            if outcomes:
                self._record(suite, outcomes, len(table.windows))
        return outcomes

    def _fresh(self, table: LakeTable) -> list[Active]:
        """Return files that were not there at the look before, and may have rows of this run."""
        now, seen = newest(self.lake, table), self._seen.setdefault(table.name, set())
        fresh = [file for file in (now.files if now else []) if file.path not in seen]
        seen |= {file.path for file in fresh}
        named = [(file, file.path.rpartition("/")[2]) for file in fresh]
        return [file for file, name in named if name.startswith((self.run, COMPACTED))]

    def _rows(self, table: LakeTable, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield rows that this run has landed since the look before, file by file."""
        last = self._last.setdefault(table.name, {})
        before = pl.DataFrame(
            {"_source": list(last), "_looked": list(last.values())},
            schema={"_source": pl.String, "_looked": pl.Int64},
        )
        left = MOST_ROWS
        for file in reversed(self._fresh(table)):
            if left <= 0:
                return
            names = dict.fromkeys([*columns, "_run", "_source", "_position"])
            rows = read_file(self.lake, table, file, list(names)).filter(_run=self.run)
            rows = rows.join(before, on="_source", how="left", maintain_order="left")
            rows = rows.filter(pl.col("_position") > pl.col("_looked").fill_null(-1))
            left -= rows.height
            for source, position in rows.group_by("_source").agg(pl.max("_position")).iter_rows():
                last[source] = max(position, last.get(source, -1))
            yield rows.select(columns)

    def _landed(self, suite: Suite) -> Table:
        """Return the rows that this run has landed since, and what rules set aside of them."""
        schema = suite_schema(self.feed)
        columns = sorted({*WINDOW, *(n for one in suite.expectations for n in one.columns)})
        none = empty_frame(pa.schema([schema.field(name) for name in columns]))
        rows = pl.concat([none, *self._rows(self._records, columns)])
        ruled = self._ruled(suite, rows)
        windows = {*rows.select(WINDOW).unique().rows()}
        windows |= {window for seen in ruled.by_label.values() for window in seen}
        return Table(sorted(windows), schema, [lambda: rows], rows.select, ruled)

    def _ruled(self, suite: Suite, rows: pl.DataFrame) -> Sightings:
        """Return what rules found; a row that does not meet two is counted with the first."""
        aside = pl.concat(
            [
                pl.DataFrame(schema=ASIDE),
                *self._rows(self._quarantine, list(ASIDE)),
            ]
        )
        found = Sightings()
        for _, rule in suite_rules(self.feed):
            if rule.label not in suite.named or rule.evaluated is None:
                continue
            failed = aside.filter(reason=rule.reason, column=rule.column)
            for part, unexpected in ((rows.filter(rule.evaluated), 0), (failed, 1)):
                for *window, number in part.group_by(WINDOW).len().iter_rows():
                    found.by_label[rule.label][tuple(window)].add(unexpected * number, number)
        return found

    def _record(self, suite: Suite, outcomes: Sequence[Outcome], windows: int) -> None:
        today = datetime.now(UTC).date()
        rows = gate_rows(self.run, self.feed.feed, "stream", suite, outcomes, windows, today)
        keys = rows.select("run", "business_date").unique()
        revise(self.lake, tables.GATES, keys, lambda _, old: pl.concat([_failed(old), rows]))
        critical = [one for one in outcomes if one.holds]
        for one in outcomes:
            if not one.passed:
                level = logging.ERROR if one in critical else logging.WARNING
                LOG.log(level, "gate: %s", one.reason, extra={"feed": self.feed.feed})
        self.failed = [one.reason for one in critical]
        note_gate(self.feed.feed, len(critical))
        if self.feed.gate.pause == "totals":
            if critical:
                pause_totals(self.lake, self.feed.feed, "; ".join(self.failed))
            else:
                resume_totals(self.lake, self.feed.feed)
        self.paused = bool(critical) and self.feed.gate.pause == "feed"


def _failed(looks: pl.DataFrame) -> pl.DataFrame:
    """Return the looks in which something failed: of the others the newest is kept."""
    return looks.filter((pl.col("outcome") == "failed").any().over("at"))


@contextmanager
def gating(lake: Place, feed: Feed, run: str, stop: Event) -> Iterator[StreamGate]:
    """Look every so often while it lasts, and once more at its end.

    A failure that pauses the feed sets `stop`. A look that the lake does not allow is logged, and
    made good by the next.
    """
    gate_, ended = StreamGate(lake, feed, run), Event()
    thread = Thread(target=_run, args=(gate_, stop, ended), name="gate", daemon=True)
    if gate_.suite is not None:
        thread.start()
    try:
        yield gate_
    finally:
        ended.set()
        if thread.is_alive():
            thread.join()


def _run(gate_: StreamGate, stop: Event, ended: Event) -> None:
    while not ended.wait(gate_.feed.gate.every.total_seconds()):
        try:
            gate_.look()
        except (OSError, DeltaError) as error:
            LOG.warning("the gate could not look: %s", error)
        if gate_.paused:
            stop.set()
