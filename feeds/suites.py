"""Suites: what is expected of a feed's rows and counts, as Great Expectations writes it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

KINDS = Path(__file__).resolve().parent / "expectations.json"
SUITES = Path(__file__).resolve().parent.parent / "expectations" / "suites"
"""Where the shipped suites are."""

QUERIES = {
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
    "unexpected_rows_expectation",
}

Severity = Literal["critical", "warning", "info"]
Grain = Literal["window", "run"]


class SuitePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Expectation(SuitePart):
    """One expectation; `kwargs` are those of Great Expectations.

    `meta` may say `grain` (window or run: over what it must hold) and `may_be_empty` (true where
    it holds also if there is no value to look at); whatever else it has is left alone.
    """

    type: str
    kwargs: dict[str, Any] = {}
    severity: Severity = "critical"
    meta: dict[str, Any] = {}
    description: str | None = None
    notes: str | list[str] | None = None
    id: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns it looks at; none if it looks at the whole table."""
        named = [self.kwargs.get(name) for name in ("column", "column_A", "column_B")]
        return [*filter(None, named), *self.kwargs.get("column_list", ())]

    @property
    def by_row(self) -> bool:
        """Whether each row meets it or does not."""
        return bool(kinds()[self.type]["rows"])

    @property
    def mostly(self) -> float:
        """The share of rows that must meet it."""
        return float(self.kwargs.get("mostly", 1.0))

    @property
    def may_be_empty(self) -> bool:
        return bool(self.meta.get("may_be_empty", False))

    @property
    def label(self) -> str:
        """Its type and columns, as it is told of."""
        return f"{self.type}({', '.join(self.columns)})"

    def problems(self, columns: list[str]) -> Iterator[str]:
        """Yield what cannot be right about it, for a table of these columns."""
        known = kinds().get(self.type)
        if known is None:
            near = get_close_matches(self.type, kinds(), 1, 0)
            yield f"{self.type!r} is not an expectation of Great Expectations; nearest: {near[0]}"
            return
        if self.type in QUERIES:
            yield f"{self.type!r} needs a database to send queries to, and a lake has none"
        for name in self.kwargs:
            if name not in known["kwargs"]:
                allowed = ", ".join(known["kwargs"])
                yield f"kwargs.{name}: {self.type} has no such argument; allowed: {allowed}"
        for name in known["required"]:
            if name not in self.kwargs:
                yield f"kwargs.{name}: {self.type} must be given it"
        for name in self.columns:
            if name not in columns:
                yield f"kwargs: {name!r} is not a column; columns: {', '.join(columns)}"
        mostly = self.kwargs.get("mostly", 1)
        if not isinstance(mostly, int | float) or not 0 <= mostly <= 1:
            yield f"kwargs.mostly: {mostly!r} is not a share between 0 and 1"
        if self.meta.get("grain", "window") not in ("window", "run"):
            yield f"meta.grain: {self.meta['grain']!r} is not window or run"


class Suite(SuitePart):
    """What is expected of a table; `meta.grain` is that of expectations without their own."""

    name: str
    expectations: tuple[Expectation, ...] = Field(min_length=1)
    meta: dict[str, Any] = {}
    notes: str | list[str] | None = None
    id: str | None = None

    @cached_property
    def named(self) -> dict[str, Expectation]:
        """The expectations by label, those of one label numbered."""
        labels = Counter(one.label for one in self.expectations)
        seen: Counter[str] = Counter()
        named = {}
        for one in self.expectations:
            seen[one.label] += 1
            number = f"#{seen[one.label]}" if labels[one.label] > 1 else ""
            named[one.label + number] = one
        return named

    def grain(self, one: Expectation) -> Grain:
        """Return over what an expectation must hold."""
        found: Grain = one.meta.get("grain", self.meta.get("grain", "window"))
        return found

    def problems(self, columns: list[str]) -> list[str]:
        """Return what cannot be right, each naming the expectation's place in the suite."""
        found = [
            f"suite {self.name}: expectations[{number}]: {problem}"
            for number, one in enumerate(self.expectations)
            for problem in one.problems(columns)
        ]
        if self.meta.get("grain", "window") not in ("window", "run"):
            found.append(
                f"suite {self.name}: meta.grain: {self.meta['grain']!r} is not window or run"
            )
        return found


@cache
def kinds() -> Mapping[str, dict[str, Any]]:
    """Return the built-in expectations by name; `expectations.kinds` writes the file."""
    found: dict[str, dict[str, Any]] = json.loads(KINDS.read_text())
    return found


def find_suite(name: str, folder: Path) -> Path | None:
    """Return the file of a suite: beside a feed, in `expectations/suites`, or a shipped one."""
    if name.endswith(".json"):
        return folder / name if (folder / name).is_file() else None
    for place in (folder, folder.parent / "expectations" / "suites", SUITES):
        if (path := place / f"{name}.json").is_file():
            return path
    return None


def load_suite(path: Path) -> Suite:
    """Load a suite; raises ValueError that names file, place and value."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    try:
        return Suite.model_validate(data)
    except ValidationError as error:
        raise ValueError("; ".join(f"{path}: {fault}" for fault in _faults(error))) from error


def _faults(error: ValidationError) -> Iterator[str]:
    for detail in error.errors():
        place = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in detail["loc"])
        given = detail["input"]
        value = "" if isinstance(given, dict | list) else f" {given!r}:"
        yield f"{place.lstrip('.') or 'suite'}:{value} {detail['msg']}"


def suite_columns(payload: pa.Schema) -> list[str]:
    """Return the columns that a suite over rows may name."""
    return [*payload.names, "site", "business_date"]


COUNTED = (
    *("site", "business_date", "read", "accepted", "rejected", "late", "duplicate", "declared"),
    *("bytes", "reject_rate", "late_rate", "duplicate_rate", "usual_low", "usual_high"),
)
"""The columns that a suite over counts may name; rates are shares of the rows read."""
