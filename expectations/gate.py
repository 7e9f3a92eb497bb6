"""The gate: which expectations a run meets, and which windows must wait because of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl
import pyarrow as pa

from isopach.expectations.compiling import compiled
from isopach.expectations.frames import to_pandas
from isopach.expectations.sightings import (
    WINDOW,
    Sighting,
    Sightings,
    Window,
    by_rows,
    sightings,
)
from isopach.expectations.validating import Found, validate
from isopach.feeds.suites import Expectation, Grain, Suite

THREADS = 2
ABOUT_COLUMNS = {
    "expect_column_to_exist",
    "expect_column_type_to_be",
    "expect_table_column_count_to_be_between",
    "expect_table_column_count_to_equal",
    "expect_table_columns_to_match_ordered_list",
    "expect_table_columns_to_match_set",
}
"""Expectations that no row is needed for."""


@dataclass(frozen=True)
class Outcome:
    """What came of an expectation in a window; `window` is None where it is of the whole run."""

    label: str
    expectation: Expectation
    grain: Grain
    window: Window | None
    passed: bool
    observed: str
    unexpected: int | None = None
    evaluated: int | None = None

    @property
    def holds(self) -> bool:
        """Whether windows must wait because of it."""
        return not self.passed and self.expectation.severity == "critical"

    @property
    def warns(self) -> bool:
        """Whether its failure is to be told of, and holds nothing."""
        return not self.passed and self.expectation.severity == "warning"

    @property
    def reason(self) -> str:
        return f"{self.label}: {self.observed}"


class Rows(Protocol):
    """What a gate looks at: rows of some windows, wherever they are.

    `ruled` is what row rules have found for the compiled expectations before they set rows aside;
    the rows here have passed them.
    """

    @property
    def windows(self) -> Sequence[Window]: ...

    @property
    def schema(self) -> pa.Schema: ...

    @property
    def ruled(self) -> Sightings: ...

    def sightings(self, suite: Suite) -> Sightings:
        """Return what is found in rows, by window, of expectations that any batch can tell."""

    def validated(
        self, label: str, one: Expectation, grain: Grain
    ) -> Iterator[tuple[Window | None, Found | None]]:
        """Yield what is found of one that needs all rows of each window, or of the run (None).

        Nothing is found where there is no value to look at.
        """


@dataclass(frozen=True)
class Table:
    """Rows that are read here.

    Args:
        parts: functions that each return some of the rows, all columns of the suite among them;
            they are called in threads, and one part's rows fit in memory.
        whole: returns some columns of all rows.
        ruled: what row rules have found for the compiled expectations before they set rows aside;
            the rows here have passed them.
    """

    windows: Sequence[Window]
    schema: pa.Schema
    parts: Sequence[Callable[[], pl.DataFrame]]
    whole: Callable[[Sequence[str]], pl.DataFrame]
    ruled: Sightings = field(default_factory=Sightings)

    def sightings(self, suite: Suite) -> Sightings:
        with ThreadPoolExecutor(THREADS) as pool:
            looked = [pool.submit(_look, part, suite, self.schema) for part in self.parts]
            return Sightings().merge(one.result() for one in looked)

    def validated(
        self, label: str, one: Expectation, grain: Grain
    ) -> Iterator[tuple[Window | None, Found | None]]:
        rows = self.whole([*WINDOW, *(name for name in one.columns if name not in WINDOW)])
        if grain == "run":
            yield None, whole_found(rows, label, one, self.schema)
            return
        parts = rows.partition_by(WINDOW, as_dict=True)
        for window in self.windows:
            some = parts.get(window, rows.clear())
            yield window, whole_found(some, label, one, self.schema)


def gate(suite: Suite, table: Rows) -> list[Outcome]:
    """Return what came of each expectation in each window, or in the whole run.

    An expectation without any value to look at has failed, unless its `meta.may_be_empty` says
    otherwise; so has one that could not be looked at.
    """
    rowwise = by_rows(suite, table.schema)
    seen = table.sightings(suite) if rowwise else Sightings()
    return [
        outcome
        for label, one in suite.named.items()
        for outcome in (
            _judged(label, one, suite.grain(one), table, seen)
            if label in rowwise
            else _validated(label, one, suite.grain(one), table)
        )
    ]


def _look(part: Callable[[], pl.DataFrame], suite: Suite, schema: pa.Schema) -> Sightings:
    return sightings(part(), suite, schema)


def _judged(
    label: str, one: Expectation, grain: Grain, table: Rows, seen: Sightings
) -> Iterator[Outcome]:
    """Yield outcomes of an expectation whose rows were counted, by window or for the run."""
    if label in seen.errors:
        said = f"cannot be looked at: {seen.errors[label]}"
        yield Outcome(label, one, grain, None, False, said)
        return
    is_rule = one.severity == "critical" and compiled(one, table.schema) is not None
    of_rules = table.ruled.by_label.get(label) if is_rule else None
    groups: dict[Window | None, list[Window]] = (
        {None: list(table.windows)} if grain == "run" else {w: [w] for w in table.windows}
    )
    for window, members in groups.items():
        staged, ruled = Sighting(), Sighting()
        for member in members:
            _take(staged, seen.by_label[label].get(member))
            _take(ruled, of_rules.get(member) if of_rules else None)
        yield _by_share(label, one, grain, window, staged, ruled if of_rules is not None else None)


def _take(sum_: Sighting, more: Sighting | None) -> None:
    if more is not None:
        sum_.add(more.unexpected, more.evaluated)


def _by_share(
    label: str,
    one: Expectation,
    grain: Grain,
    window: Window | None,
    staged: Sighting,
    ruled: Sighting | None,
) -> Outcome:
    """Judge by the share of rows that meet an expectation, as Great Expectations does.

    Of a row rule without `mostly`, rows that do not meet it are set aside, however many.
    """
    unexpected = staged.unexpected + (ruled.unexpected if ruled else 0)
    evaluated = ruled.evaluated if ruled else staged.evaluated
    if not evaluated:
        said, passed = "no value to look at", one.may_be_empty
    else:
        said = f"{unexpected:,} of {evaluated:,} rows ({unexpected / evaluated:.2%}) do not meet it"
        tolerated = ruled is not None and "mostly" not in one.kwargs
        passed = tolerated or (evaluated - unexpected) / evaluated >= one.mostly
        if "mostly" in one.kwargs:
            said += f", {1 - one.mostly:.2%} may"
        if ruled is not None and staged.unexpected:
            said += f"; its row rule let {staged.unexpected:,} of them through"
            passed = False
    return Outcome(label, one, grain, window, passed, said, unexpected, evaluated)


def _validated(label: str, one: Expectation, grain: Grain, table: Rows) -> Iterator[Outcome]:
    """Yield outcomes of an expectation that needs all rows of a window, or of the run."""
    if one.type in ABOUT_COLUMNS:
        empty = pl.from_arrow(table.schema.empty_table())
        assert isinstance(empty, pl.DataFrame)
        found = whole_found(empty, label, one, table.schema)
        yield _as_told(label, one, "run", None, found)
        return
    for window, found in table.validated(label, one, grain):
        yield _as_told(label, one, grain, window, found)


def _as_told(
    label: str, one: Expectation, grain: Grain, window: Window | None, found: Found | None
) -> Outcome:
    if found is None:
        return Outcome(label, one, grain, window, one.may_be_empty, "no value to look at", 0, 0)
    if found.error is not None:
        said = f"cannot be looked at: {found.error}"
        return Outcome(label, one, grain, window, False, said)
    return Outcome(
        label, one, grain, window, found.success, _said(found), found.unexpected, found.evaluated
    )


def whole_found(
    rows: pl.DataFrame, label: str, one: Expectation, schema: pa.Schema
) -> Found | None:
    """Return what is found of an expectation in all rows; None if they have no value."""
    names = rows.columns if one.type in ABOUT_COLUMNS else one.columns or rows.columns[:1]
    found = validate(to_pandas(rows.select(names)), {label: one}, schema)[label]
    needs = found.error is None and one.type not in ABOUT_COLUMNS and one.columns
    return None if needs and not _has_values(rows, one) else found


def _has_values(rows: pl.DataFrame, one: Expectation) -> bool:
    return any(rows[name].null_count() < rows.height for name in one.columns)


def _said(found: Found) -> str:
    if found.observed is not None:
        return f"observed {found.observed}"
    if found.unexpected is not None:
        return f"{found.unexpected:,} of {found.evaluated:,} rows do not meet it"
    return "met" if found.success else "not met"


def failures(outcomes: Sequence[Outcome], windows: Sequence[Window]) -> Mapping[Window, list[str]]:
    """Return why windows must wait: critical expectations that failed in them, or in the run."""
    found: dict[Window, list[str]] = {}
    for one in outcomes:
        for window in windows if one.window is None else [one.window]:
            if one.holds:
                found.setdefault(window, []).append(one.reason)
    return found
