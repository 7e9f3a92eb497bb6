"""Totals: measures per window and group that can be merged from parts."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from isopach.feeds.columns import COLUMN, TYPES, ColumnName

Function = Literal["count", "sum", "min", "max", "mean"]
FUNCTIONS: tuple[str, ...] = get_args(Function)

MEASURES: dict[str, Any] = {
    "type": "object",
    "description": "name: function (of the column of that name) or {function: column}",
    "minProperties": 1,
    "additionalProperties": False,
    "patternProperties": {
        COLUMN: {
            "anyOf": [
                {"enum": list(FUNCTIONS)},
                {
                    "type": "object",
                    "propertyNames": {"enum": list(FUNCTIONS)},
                    "additionalProperties": {"type": "string"},
                    "minProperties": 1,
                    "maxProperties": 1,
                },
            ]
        }
    },
}


class Measure(BaseModel):
    """One measure: a function, and its column; a `count` without one counts rows, not values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    function: Function
    column: str | None = None


class Total(BaseModel):
    """Measures per group of columns: `{by: [sku], measures: {sales: count, revenue: sum}}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: tuple[str, ...]
    measures: Annotated[dict[ColumnName, Measure], WithJsonSchema(MEASURES)] = Field(min_length=1)

    @field_validator("measures", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: _measure(name, given) for name, given in value.items()}

    def columns(self) -> list[str]:
        """Return the columns a total reads."""
        return [*self.by, *(m.column for m in self.measures.values() if m.column)]

    def problems(self, name: str, payload: pa.Schema) -> list[str]:
        """Return what cannot be computed over a payload of this schema."""
        where, columns = f"totals.{name}", ", ".join(payload.names)
        unknown = [
            f"{where}.by: {column!r} is not a column; columns: {columns}"
            for column in self.by
            if column not in payload.names
        ]
        for measure_name, measure in self.measures.items():
            field = f"{where}.measures.{measure_name}"
            if measure.column is not None and measure.column not in payload.names:
                unknown.append(f"{field}: {measure.column!r} is not a column; columns: {columns}")
            elif measure.function in ("sum", "mean"):
                kind = payload.field(measure.column).type
                if not _is_number(kind):
                    unknown.append(
                        f"{field}: {measure.function} needs a number, "
                        f"and {measure.column!r} is a {_word(kind)}"
                    )
        groups = [column for column in self.by if column in payload.names]
        stored = ["site", "business_date", *groups, *self._stored()]
        twice = sorted({column for column in stored if stored.count(column) > 1})
        return unknown + [
            f"{where}: {column!r} would stand twice in its table, beside site, business_date, "
            "groups and measures (a mean is kept as NAME_sum and NAME_count)"
            for column in twice
        ]

    def _stored(self) -> list[str]:
        return [
            f"{name}{suffix}"
            for name, measure in self.measures.items()
            for suffix in (("_sum", "_count") if measure.function == "mean" else ("",))
        ]


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _word(kind: pa.DataType) -> str:
    return next((word for word, known in TYPES.items() if known == kind), str(kind))


def _measure(name: str, given: Any) -> Any:
    if isinstance(given, Measure):
        return given
    if isinstance(given, dict) and len(given) == 1:
        function, column = next(iter(given.items()))
    else:
        function, column = given, name
    counts_rows = function == "count" and function is given
    return {"function": function, "column": None if counts_rows else column}
