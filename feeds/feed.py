"""A feed: one declared kind of record, validated."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
import polars.selectors as cs
import pyarrow as pa
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    model_validator,
)

from isopach.feeds.columns import ColumnName, ColumnOrType, derived, polars_type
from isopach.feeds.hooks import known_hook
from isopach.feeds.lookups import Lookup
from isopach.feeds.policies import Gate, Lateness, Part, Quarantine, Reconcile, Salting
from isopach.feeds.suites import COUNTED, Suite, find_suite, load_suite, suite_columns
from isopach.feeds.totals import Total

NAME = r"^[a-z][a-z0-9_]{0,62}$"
WIDE_INTEGERS = cs.integer().cast(pl.Int64)
"""How whole numbers enter SQL: those of 32 bits would wrap around silently."""
Cadence = Literal["nightly", "micro-batch", "continuous"]
RESERVED = ("site", "business_date")
NO_OTHERS: dict[str, Any] = {"additionalProperties": False}


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


class Feed(Part):
    """One declared kind of record."""

    feed: str = Field(pattern=NAME, description="The feed's name, and its folder in the lake.")
    columns: dict[ColumnName, ColumnOrType] = Field(json_schema_extra=NO_OTHERS)
    derive: dict[ColumnName, str] = Field(
        default={}, description="Column: row-wise SQL expression.", json_schema_extra=NO_OTHERS
    )
    lookups: dict[str, Lookup] = Field(default={})
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
    cadence: Cadence = Field(
        default="nightly",
        description="How events land where it is provisioned; nights settle them all the same.",
    )

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
