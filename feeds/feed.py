"""A feed: one declared kind of record, validated."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from isopach.feeds.columns import Column, polars_type
from isopach.feeds.lookups import Lookup
from isopach.feeds.totals import Total

NAME = r"^[a-z][a-z0-9_]{0,62}$"
RESERVED = {"site", "business_date"}
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+)\s*([smhd])", str(value))
    if not match:
        raise ValueError(f"{value!r} is not a duration; write a number and s, m, h or d, as in 10m")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


Duration = Annotated[
    timedelta,
    BeforeValidator(
        _duration, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+[smhd]$")]
    ),
]


class Part(BaseModel):
    """A part of a declaration: unknown fields are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Lateness(Part):
    """How far events may be out of order, and how late they still count."""

    out_of_order: Duration = timedelta(minutes=10)
    allowed: Duration = timedelta(days=2)


class Reconcile(Part):
    """What batch and stream may differ in."""

    max_missing: int = Field(default=0, ge=0)
    max_extra: int = Field(default=0, ge=0)
    ignore: tuple[str, ...] = ()


class Salting(Part):
    """How many rows a group of the nightly shuffle aims at."""

    target_rows: int = Field(default=500_000, ge=1)


class Feed(Part):
    """One declared kind of record."""

    feed: str = Field(pattern=NAME, description="The feed's name, and its folder in the lake.")
    columns: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,126}$")], Column]
    derive: dict[str, str] = Field(default={}, description="Column: row-wise SQL expression.")
    lookups: dict[str, Lookup] = {}
    hook: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="`package.module:function`, given and returning a Polars frame of a batch.",
    )
    sites: str = Field(default="sites.csv", description="The site registry, beside this file.")
    site: str = Field(description="The column with the site's id.")
    key: Annotated[tuple[str, ...], Field(min_length=1)]
    event_time: str
    business_date: str | None = None
    extra_columns: Literal["ignore", "reject"] = "ignore"
    suite: str | None = None
    totals: dict[Annotated[str, Field(pattern=NAME)], Total] = {}
    lateness: Lateness = Lateness()
    reconcile: Reconcile = Reconcile()
    salting: Salting = Salting()

    @model_validator(mode="after")
    def _consistent(self) -> Feed:
        """Check the fields against each other; the errors name field, value and the way out."""
        problems = [*self._naming(), *self._references(), *self._derivations()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _naming(self) -> list[str]:
        given = [
            *self.columns,
            *(c for x in self.lookups.values() for c in x.columns),
            *self.derive,
        ]
        taken = [f"{name!r} is a name the lake itself uses" for name in given if name in RESERVED]
        twice = {name for name in given if given.count(name) > 1}
        return taken + [f"column {name!r} is declared twice" for name in sorted(twice)]

    def _references(self) -> list[str]:
        return [
            *self._required("site", self.site, "string"),
            *self._required("event_time", self.event_time, "timestamp"),
            *(p for name in self.key for p in self._required("key", name, None)),
            *(
                self._required("business_date", self.business_date, "date")
                if self.business_date
                else ()
            ),
            *(
                f"lookups.{name}.on: {column!r} is not a column of {self.feed}"
                for name, lookup in self.lookups.items()
                for column in lookup.on
                if column not in self.columns
            ),
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
        names = set(payload.names)
        unknown = [
            f"totals.{name}: {column!r} is not a column; columns: {', '.join(payload.names)}"
            for name, total in self.totals.items()
            for column in total.columns()
            if column not in names
        ]
        if unknown:
            return unknown
        wrong = [p for name, total in self.totals.items() for p in total.problems(name, payload)]
        ignored = [
            f"reconcile.ignore: {c!r} is not a column"
            for c in self.reconcile.ignore
            if c not in names
        ]
        return wrong + ignored

    @cached_property
    def source_schema(self) -> pa.Schema:
        """The declared columns, as cast from what a site sends."""
        return pa.schema([pa.field(name, column.arrow) for name, column in self.columns.items()])

    @cached_property
    def payload(self) -> pa.Schema:
        """All columns of an accepted row: declared, looked up, derived."""
        fields = [*self.source_schema]
        fields += [f for lookup in self.lookups.values() for f in lookup.fields]
        frame = pl.DataFrame(schema={f.name: polars_type(f.type) for f in fields})
        for name, sql in self.derive.items():
            frame = frame.with_columns(_expression(name, sql, frame.columns))
            fields.append(frame.to_arrow().schema.field(name))
        return pa.schema(fields)

    @cached_property
    def inputs(self) -> list[str]:
        """The declared columns that lookups and derived columns are computed from."""
        named = {name for lookup in self.lookups.values() for name in lookup.on}
        named |= {name for expression in self.derivations for name in expression.meta.root_names()}
        return [name for name in self.columns if name in named]

    @cached_property
    def derivations(self) -> list[pl.Expr]:
        """The derived columns as Polars expressions, in order; a later one may use an earlier."""
        return [pl.sql_expr(sql).alias(name) for name, sql in self.derive.items()]


def _expression(name: str, sql: str, known: list[str]) -> pl.Expr:
    try:
        expression = pl.sql_expr(sql).alias(name)
        unknown = sorted(set(expression.meta.root_names()) - set(known))
        if not unknown:
            pl.DataFrame(schema=dict.fromkeys(known, pl.Null)).lazy().select(expression)
            return expression
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise ValueError(f"derive.{name}: {sql!r}: {error}") from error
    raise ValueError(
        f"derive.{name}: {sql!r} names {', '.join(unknown)}; columns: {', '.join(known)}"
    )
