"""A feed: one declared kind of record, validated."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
import polars.selectors as cs
import pyarrow as pa
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    model_validator,
)

from isopach.feeds.columns import ColumnName, ColumnOrType, derived, polars_type
from isopach.feeds.hooks import known_hook
from isopach.feeds.lookups import Lookup
from isopach.feeds.suites import COUNTED, Suite, find_suite, load_suite, suite_columns
from isopach.feeds.totals import Total

NAME = r"^[a-z][a-z0-9_]{0,62}$"
WIDE_INTEGERS = cs.integer().cast(pl.Int64)
"""How whole numbers enter SQL: those of 32 bits would wrap around silently."""
RESERVED = ("site", "business_date")
NO_OTHERS: dict[str, Any] = {"additionalProperties": False}
SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d{1,6})\s*([smhd])", str(value))
    if not match:
        raise ValueError(
            f"{value!r} is not a duration; write up to 6 digits and s, m, h or d, as in 10m"
        )
    return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


def _written(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    unit, size = next(item for item in SECONDS.items() if seconds % item[1] == 0)
    return f"{seconds // size}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(
        _duration, json_schema_input_type=Annotated[str, Field(pattern=r"^\d{1,6}\s*[smhd]$")]
    ),
    PlainSerializer(_written),
]

HookName = Annotated[
    str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), AfterValidator(known_hook)
]


def _suite(value: Any, info: ValidationInfo) -> Any:
    """Load a suite that is named; one may also be written where it is used."""
    if not isinstance(value, str):
        return value
    folder = (info.context or {}).get("folder", Path())
    path = find_suite(value, folder)
    if path is None:
        raise ValueError(
            f"{value!r}: no such suite; looked for {value}.json beside the feed, in "
            f"{folder.parent / 'expectations' / 'suites'} and among those shipped"
        )
    return load_suite(path)


SuiteOrName = Annotated[Suite, BeforeValidator(_suite, json_schema_input_type=Suite | str)]


class Part(BaseModel):
    """A part of a declaration: unknown fields are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Lateness(Part):
    """How far events may be out of order, and how late they still count."""

    out_of_order: Duration = Field(
        default=timedelta(minutes=10), json_schema_extra={"default": "10m"}
    )
    allowed: Duration = Field(default=timedelta(days=2), json_schema_extra={"default": "2d"})


class Reconcile(Part):
    """What batch and stream may differ in, window by window, and what to do where they do more."""

    max_missing: int = Field(
        default=0, ge=0, description="Records of a window that the stream may lack."
    )
    max_extra: int = Field(
        default=0, ge=0, description="Records of a window that the delivery may lack."
    )
    ignore: tuple[str, ...] = Field(default=(), description="Columns that are not compared.")
    breach: Literal["warn", "hold"] = Field(
        default="warn", description="Publish windows that differ by more and say so, or hold them."
    )
    stream_only: Literal["drop", "keep", "hold"] = Field(
        default="drop",
        description="Leave out records that only the stream has (they stay in "
        "`ledger/differences`), publish them beside the night's, or hold their windows.",
    )


class Quarantine(Part):
    """What becomes of rows that are set aside."""

    keep: Duration | None = Field(
        default=None,
        description="How long the original row and its key are kept; the next night then empties "
        "them, and the row's reason, source and position stay. For ever unless told.",
    )


class Gate(Part):
    """How a stream is gated by its suite, while it runs."""

    every: Duration = Field(
        default=timedelta(minutes=1),
        json_schema_extra={"default": "1m"},
        description="How often what has landed since is looked at.",
    )
    pause: Literal["nothing", "totals", "feed"] = Field(
        default="nothing",
        description="What waits when a critical expectation fails: nothing (there is an alarm in "
        "any case), the totals, or the whole stream, which stops.",
    )


class Salting(Part):
    """How many rows a group of the nightly shuffle aims at."""

    target_rows: int = Field(default=500_000, ge=1)


class Feed(Part):
    """One declared kind of record."""

    feed: str = Field(pattern=NAME, description="The feed's name, and its folder in the lake.")
    columns: dict[ColumnName, ColumnOrType] = Field(json_schema_extra=NO_OTHERS)
    derive: dict[ColumnName, str] = Field(
        default={}, description="Column: row-wise SQL expression.", json_schema_extra=NO_OTHERS
    )
    lookups: dict[str, Lookup] = {}
    hook: HookName | None = Field(
        default=None,
        description="`package.module:function`, given and returning a Polars frame of a batch.",
    )
    sites: str = Field(default="sites.csv", description="The site registry, beside this file.")
    site: str = Field(description="The column with the site's id.")
    key: Annotated[tuple[str, ...], Field(min_length=1)]
    event_time: str
    business_date: str | None = None
    extra_columns: Literal["ignore", "reject"] = "ignore"
    suite: SuiteOrName | None = Field(
        default=None, description="The name of a suite over rows, its file, or the suite itself."
    )
    counts_suite: SuiteOrName | None = Field(
        default=None, description="A suite over counts; by default the suite's name and `_counts`."
    )
    gate: Gate = Gate()
    quarantine: Quarantine = Quarantine()
    totals: dict[Annotated[str, Field(pattern=NAME)], Total] = Field(
        default={}, json_schema_extra=NO_OTHERS
    )
    lateness: Lateness = Lateness()
    reconcile: Reconcile = Reconcile()
    salting: Salting = Salting()

    @model_validator(mode="before")
    @classmethod
    def _counts_suite(cls, data: Any, info: ValidationInfo) -> Any:
        """Find the suite over counts that goes with a named one."""
        if isinstance(data, dict) and isinstance(name := data.get("suite"), str):
            counts = f"{name.removesuffix('.json')}_counts{'.json' if '.json' in name else ''}"
            if find_suite(counts, (info.context or {}).get("folder", Path())):
                return {"counts_suite": counts, **data}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Feed:
        """Check the fields against each other; the errors name field, value and the way out."""
        problems = [*self._naming(), *self._references(), *self._derivations()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _naming(self) -> list[str]:
        """Check names of columns; tables do not tell upper case from lower."""
        given = [
            *((f"columns.{name}", name) for name in self.columns),
            *(
                (f"lookups.{x}.columns", c)
                for x, lookup in self.lookups.items()
                for c in lookup.columns
            ),
            *((f"derive.{name}", name) for name in self.derive),
        ]
        seen: dict[str, str] = {}
        problems = []
        for field, name in given:
            if name.lower() in RESERVED:
                problems.append(
                    f"{field}: {name!r} is a name the lake itself uses; call it otherwise"
                )
            elif name.lower() in seen:
                problems.append(f"{field}: {name!r} is there already, as {seen[name.lower()]}")
            seen.setdefault(name.lower(), field)
        return problems

    def _references(self) -> list[str]:
        return [
            *self._required("site", self.site, "string"),
            *self._required("event_time", self.event_time, "timestamp"),
            *(p for name in self.key for p in self._required("key", name, None)),
            *(f"key: {n!r} is named twice" for n in set(self.key) if self.key.count(n) > 1),
            *(
                self._required("business_date", self.business_date, "date")
                if self.business_date
                else ()
            ),
            *(
                problem
                for name, lookup in self.lookups.items()
                for column in lookup.on
                for problem in self._joined(f"lookups.{name}.on", column, lookup)
            ),
        ]

    def _joined(self, field: str, name: str, lookup: Lookup) -> list[str]:
        if name not in self.columns:
            return [f"{field}: {name!r} is not a column; columns: {', '.join(self.columns)}"]
        here, there = polars_type(self.columns[name].arrow), lookup.table.schema[name]
        if here == there:
            return []
        return [
            f"{field}: {name!r} is declared {self.columns[name].type}, and in {lookup.path} it is "
            f"a {there}; make them the same"
        ]

    def _required(self, field: str, name: str, kind: str | None) -> list[str]:
        column = self.columns.get(name)
        if column is None:
            return [f"{field}: {name!r} is not a column; columns: {', '.join(self.columns)}"]
        problems = []
        if not column.required:
            problems.append(f"{field}: column {name!r} must be `required: true`")
        if kind and column.type != kind:
            problems.append(f"{field}: column {name!r} must be a {kind}, not {column.type}")
        return problems

    def _derivations(self) -> list[str]:
        """Check derived columns, and what needs their types: totals and ignored columns."""
        try:
            payload = self.payload
        except ValueError as error:
            return [str(error)]
        wrong = [p for name, total in self.totals.items() for p in total.problems(name, payload)]
        ignored = [
            f"reconcile.ignore: {column!r} is not a column; columns: {', '.join(payload.names)}"
            for column in self.reconcile.ignore
            if column not in payload.names
        ]
        return wrong + ignored + self._suites(payload)

    def _suites(self, payload: pa.Schema) -> list[str]:
        over = {"suite": suite_columns(payload), "counts_suite": list(COUNTED)}
        return [
            f"{field}: {problem}"
            for field, columns in over.items()
            if (suite := getattr(self, field))
            for problem in suite.problems(columns)
        ]

    @cached_property
    def source_schema(self) -> pa.Schema:
        """The declared columns, as cast from what a site sends."""
        return pa.schema([pa.field(name, column.arrow) for name, column in self.columns.items()])

    @cached_property
    def payload(self) -> pa.Schema:
        """All columns of an accepted row: declared, looked up, derived."""
        fields = [*self.source_schema]
        fields += [f for lookup in self.lookups.values() for f in lookup.fields]
        rows = _empty(fields)
        for name, expression in zip(self.derive, self.derivations, strict=True):
            rows = rows.with_columns(expression)
            fields.append(rows.to_arrow().schema.field(name))
        return pa.schema(fields)

    @cached_property
    def inputs(self) -> list[str]:
        """The declared columns that lookups and derived columns are computed from; never none."""
        named = {self.site, *(name for lookup in self.lookups.values() for name in lookup.on)}
        named |= {name for expression in self.derivations for name in expression.meta.root_names()}
        return [name for name in self.columns if name in named]

    @cached_property
    def derivations(self) -> list[pl.Expr]:
        """The derived columns as Polars expressions, in order; a later one may use an earlier."""
        rows = _empty([*self.source_schema, *(f for x in self.lookups.values() for f in x.fields)])
        expressions = []
        for name, sql in self.derive.items():
            expressions.append(derived(name, sql, rows))
            rows = rows.with_columns(expressions[-1])
        return expressions


def _empty(fields: list[pa.Field]) -> pl.DataFrame:
    rows = pl.DataFrame(schema={field.name: polars_type(field.type) for field in fields})
    return rows.with_columns(WIDE_INTEGERS)
