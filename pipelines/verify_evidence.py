"""Verify evidence: whether a lake still has what a date rested on, and what first does not hold.

Checked in this order:

1. tables: each is there, at the version of the evidence or a later one;
2. files: each has the size and the SHA-256 that it had. A table may have moved on to a later
   version in which a file is no longer active, as compaction and nights do: the file must then be
   as it was for as long as it is there;
3. windows: those that were settled still are, by the same run, with the same rows and checksum,
   in the ledger and recomputed from the records of the newest version;
4. rows: records, rows set aside and totals of these windows are the same, by source and position;
   a stream may have set more aside, behind the positions that it had reached;
5. fences: no source of a stream has gone back;
6. counts, runs, differences: the ledger's rows are the same. Of a stream's counts only those of
   rows set aside may have grown; a run that was under way may have ended.

So what changes how files are laid out, and what is added, leaves evidence as it is; another night
of the same date does not, also if it brought the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from isopach.feeds.feed import Feed
from isopach.lake.inventory import READ_ERRORS, digests, misfit, sizes
from isopach.lake.places import Place
from isopach.lake.tables import FeedTables, Table
from isopach.pipelines.evidence import Content, Evidence, Row, Signed, TableState, hash_of
from isopach.pipelines.evidence_ledger import ledger_findings
from isopach.pipelines.findings import Finding
from isopach.pipelines.gather_evidence import Date, content_rows, pick_of, plain, windows_in
from isopach.pipelines.verify_files import FILES, unreadable_files, verify_files


@dataclass
class Upheld:
    """What was checked of evidence, which tables have moved on since, and what does not hold."""

    feed: str
    date: str = ""
    windows: int = 0
    files: int = 0
    moved: dict[str, str] = field(default_factory=dict)
    broken: Finding | None = None


def changed(feed: str, name: str, signed: Signed) -> Upheld:
    """Return that a file of evidence is not what was hashed."""
    found = hash_of(signed.evidence)
    text = f"{name}: was changed: its text has the hash {found}, and {signed.sha256} stands in it"
    return Upheld(feed, broken=Finding("evidence", None, None, text))


def verify_evidence(lake: Place, feed: Feed, to: FeedTables, evidence: Evidence) -> Upheld:
    """Check evidence against a lake up to the first thing that does not hold."""
    files = sum(len(table.files) for table in evidence.tables)
    windows = len(evidence.settled)
    found = Upheld(feed.feed, f"{evidence.date}", windows, files)
    check = _Check(Date(lake, feed, to, evidence.date), evidence, found)
    found.broken = next(check.findings(), None)
    return found


@dataclass
class _Check:
    now: Date
    evidence: Evidence
    found: Upheld

    def findings(self) -> Iterator[Finding]:
        yield from self._tables()
        for said in self.evidence.tables:
            yield from self._files(said)
        yield from verify_files(self.now.lake, self.now.tables, self.now.day)
        try:
            yield from self._rows()
            yield from self._fences()
            yield from ledger_findings(self.now, self.evidence, self.settled)
        except READ_ERRORS:
            damaged = list(unreadable_files(self.now.lake, self.now.tables, self.now.day))
            if not damaged:
                raise
            yield from damaged

    def _finding(self, check: str, message: str, site: object = None) -> Finding:
        return Finding(check, None if site is None else str(site), self.now.day, message)

    def _table(self, name: str) -> Table | None:
        return next((table for table in self.now.tables if table.name == name), None)

    def _tables(self) -> Iterator[Finding]:
        for said in self.evidence.tables:
            snapshot = self.now.snapshots.get(said.table)
            if self._table(said.table) is None:
                text = f"{said.table}: is in the evidence, and the feed declares no such table now"
                yield self._finding("tables", text)
            elif snapshot is None:
                yield self._finding("tables", f"{said.table}: is not there")
            elif snapshot.version < said.version:
                text = f"{said.table}: is at version {snapshot.version}, was at {said.version}"
                yield self._finding("tables", f"{text}: an older copy, or its log was cut")

    def _files(self, said: TableState) -> Iterator[Finding]:
        table = self._table(said.table)
        assert table is not None
        snapshot = self.now.snapshots[said.table]
        active = {file.path for file in self.now.files(table)}
        left = [file for file in said.files if file.path not in active]
        if left:
            moved = f"moved on from version {said.version} to {snapshot.version}: " + (
                f"{left[0].path} is no longer active"
                + (f", nor are {len(left) - 1:,} more files" if left[1:] else "")
            )
            if snapshot.version == said.version:
                text = f"{said.table}/{left[0].path}: is not active in version {said.version} now"
                yield self._finding(FILES, f"{text}: the table's log was changed")
            self.found.moved[said.table] = moved
        there = sizes(self.now.lake, table, [file.path for file in said.files])
        for file in said.files:
            problem = misfit(file.size, there.get(file.path))
            if problem and (file.path in active or file.path in there):
                yield self._finding(FILES, f"{said.table}/{file.path}: {problem}")
        kept = [file for file in said.files if file.path in there]
        hashes = digests(self.now.lake, table, [file.path for file in kept])
        for file, sha256 in zip(kept, hashes, strict=True):
            if sha256 != file.sha256:
                text = f"its bytes give SHA-256 {sha256}, the evidence has {file.sha256}"
                yield self._finding(FILES, f"{said.table}/{file.path}: was changed: {text}")

    def _since(self, table: str) -> str:
        """Return what to add of a table that has moved on."""
        return f"; the table {self.found.moved[table]}" if table in self.found.moved else ""

    def _rows(self) -> Iterator[Finding]:
        to, settled = self.now.to, self.settled
        windows = {row["site"]: row for row in plain(self.now.windows)}
        for row in self.evidence.settled:
            yield from self._window(row, windows.get(row["site"]))
        for table in to.all:
            said = [one for one in self.evidence.contents if one.table == table.name]
            before = pl.DataFrame(
                [(c.site, c.source, c.next) for c in said if c.mode == "stream"],
                schema={"site": pl.String, "_source": pl.String, "next": pl.Int64},
                orient="row",
            )
            rows = self.now.contents(table, pick_of(table, to, settled, before))
            if table == to.records:
                yield from self._records(windows_in(rows))
            yield from self._contents(table, said, content_rows(table.name, rows))

    @property
    def settled(self) -> pl.DataFrame:
        rows = [(row["site"], row["settled_by"]) for row in self.evidence.settled]
        schema = {"site": pl.String, "settled_by": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def _window(self, said: Row, row: Row | None) -> Iterator[Finding]:
        if row is None:
            yield self._finding("windows", "ledger/windows: its row is gone", said["site"])
            return
        if said["settled_by"] != row["settled_by"]:
            text = f"settled by run {row['settled_by']} now, by {said['settled_by']} then"
            text = f"ledger/windows: {text}: it was published anew, make new evidence"
            yield self._finding("windows", text, said["site"])
        for name in ("state", "rows", "checksum", "version"):
            if said[name] != row[name]:
                text = f"ledger/windows: {name} is {row[name]} now, was {said[name]}"
                yield self._finding("windows", text, said["site"])

    def _records(self, there: dict[str, tuple[int, str]]) -> Iterator[Finding]:
        table = self.now.to.records.name
        for row in self.evidence.settled:
            rows, checksum = there.get(str(row["site"]), (0, "0" * 32))
            if (rows, checksum) != (row["rows"], row["checksum"]):
                text = f"{table}: {rows:,} rows with checksum {checksum} now, {row['rows']:,} with"
                text = f"{text} {row['checksum']} then{self._since(table)}"
                yield self._finding("windows", text, row["site"])

    def _contents(
        self, table: Table, then: Sequence[Content], now: Sequence[Content]
    ) -> Iterator[Finding]:
        """Compare what there is of each source; a source of a stream may be new in quarantine."""
        there = {(one.site, one.mode, one.source): one for one in now}
        for one in then:
            same = there.pop((one.site, one.mode, one.source), None)
            if same != one:
                rows = same.rows if same else 0
                of = f" of {one.mode} rows" + (f" from {one.source}" if one.source else "")
                text = f"{table.name}: {rows:,}{of} now, {one.rows:,} then"
                text += ", with another checksum" if rows == one.rows else ""
                yield self._finding("rows", text + self._since(table.name), one.site)
        for one in there.values():
            if table != self.now.to.quarantine or one.mode != "stream":
                text = f"{table.name}: {one.rows:,} {one.mode} rows of {one.source} more than then"
                yield self._finding("rows", text + self._since(table.name), one.site)

    def _fences(self) -> Iterator[Finding]:
        reached = {one.source: one for one in self.now.fences()}
        for said in self.evidence.fences:
            one = reached.get(said.source)
            if one is None or one.fence < said.fence or one.rows < said.rows:
                at = "has no fence" if one is None else f"has landed up to {one.fence:,}"
                text = f"{self.now.to.records.name}: {said.source} {at} now, {said.fence:,} then"
                yield self._finding("fences", text)
