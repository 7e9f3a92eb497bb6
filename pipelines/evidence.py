"""Evidence: one document that says what a settled business date rests on, down to its files."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from isopach.feeds.errors import faults_of

FORMAT: Literal[1] = 1
Row = dict[str, str | int | None]


class EvidenceError(ValueError):
    """A file that is no evidence that can be checked here, or a date there is none to make of."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Part):
    """A data file: its path within its table, and the SHA-256 of its bytes."""

    path: str
    size: int
    rows: int
    sha256: str


class TableState(_Part):
    """A table at one version, with its files that hold rows of the date.

    `ledger/runs` is not kept by date: its rows stand in the evidence, and its files do not.
    """

    table: str
    version: int
    files: tuple[File, ...]


class Content(_Part):
    """Rows of a settled window in one table, by where they come from.

    They are at positions `[first, next)` of their source; totals and unreadable files have none.
    The checksum is over all columns (but `replayed_run`), in any order of the rows.
    """

    table: str
    site: str
    mode: str
    source: str | None
    first: int | None
    next: int | None
    rows: int
    checksum: str


class Fence(_Part):
    """How far a source of a stream had landed: the next position, and rows read."""

    source: str
    fence: int
    rows: int


class Evidence(_Part):
    """What a business date of a feed rests on; only its settled windows are vouched for.

    `windows`, `counts`, `runs` and `differences` are rows of the ledger; the records of a window
    had its `checksum` when this was made. Tables and files are named within the lake, so that a
    copy of it elsewhere can be checked.
    """

    format: Literal[1]
    feed: str
    date: date
    isopach: str
    declaration: str
    tables: tuple[TableState, ...]
    windows: tuple[Row, ...]
    contents: tuple[Content, ...]
    fences: tuple[Fence, ...]
    counts: tuple[Row, ...]
    runs: tuple[Row, ...]
    differences: tuple[Row, ...]

    @property
    def settled(self) -> list[Row]:
        return [row for row in self.windows if row["state"] == "settled"]


class Signed(BaseModel):
    """Evidence with the hash of its canonical text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    evidence: dict[str, Any]
    sha256: str

    @property
    def whole(self) -> bool:
        """Tell whether the evidence is what was hashed."""
        return hash_of(self.evidence) == self.sha256


def hash_of(body: Any) -> str:
    """Return the SHA-256 of JSON data, its keys sorted and without spaces.

    It shows that nothing has changed since somebody wrote the hash down elsewhere. It is not a
    signature by a secret key: who can replace the file can replace the hash in it.
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def signed(evidence: Evidence) -> dict[str, Any]:
    """Return evidence as JSON data, with its hash."""
    body = evidence.model_dump(mode="json")
    return {"evidence": body, "sha256": hash_of(body)}


def read_signed(content: bytes) -> Signed:
    """Return what a file says, whether it is whole or not; raises EvidenceError."""
    try:
        return Signed.model_validate(json.loads(content))
    except ValidationError as error:
        said = _faults(error)
        raise EvidenceError(f"not what `isopach evidence` writes: {said}") from error
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"not JSON ({error}); is it the whole file?") from error


def evidence_in(found: Signed) -> Evidence:
    """Return the evidence that a file holds; raises EvidenceError for another format."""
    number = found.evidence.get("format")
    if number != FORMAT:
        raise EvidenceError(
            f"format: {number!r} is not known here, only {FORMAT}; check it with the version of "
            "isopach that wrote it, or make it anew"
        )
    try:
        return Evidence.model_validate(found.evidence)
    except ValidationError as error:
        said = _faults(error)
        raise EvidenceError(f"not what `isopach evidence` writes: {said}") from error


def _faults(error: ValidationError) -> str:
    """Return the first few things that are wrong."""
    found = [f"{fault.field}: {fault.message}" for fault in faults_of(error, "", lambda _: None)]
    return "; ".join(found[:3])
