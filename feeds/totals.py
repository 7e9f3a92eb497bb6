"""Totals: measures per window and group that can be merged from parts."""

from __future__ import annotations

from typing import Any, Literal, get_args

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

Function = Literal["count", "sum", "min", "max", "mean"]
FUNCTIONS: tuple[str, ...] = get_args(Function)


class Measure(BaseModel):
    """One measure: a function, and its column (none for `count`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    function: Function
    column: str | None = None


class Total(BaseModel):
    """Measures per group of columns: `{by: [sku], measures: {sales: count, revenue: sum}}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: tuple[str, ...]
    measures: dict[str, Measure] = Field(
        min_length=1,
        json_schema_extra={
            "description": "name: function (of the column of that name) or {function: column}",
            "additionalProperties": {
                "anyOf": [
                    {"enum": list(FUNCTIONS)},
                    {
                        "type": "object",
                        "propertyNames": {"enum": list(FUNCTIONS)},
                        "maxProperties": 1,
                    },
                ]
            },
        },
    )

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
        found = []
        for measure_name, measure in self.measures.items():
            kind = payload.field(measure.column).type if measure.column else None
            number = kind is None or (
                pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
            )
            if measure.function in ("sum", "mean") and not number:
                found.append(
                    f"totals.{name}.measures.{measure_name}: {measure.function} needs a number, "
                    f"and {measure.column!r} is a {kind}"
                )
        stored = [*self.by, *(field for m in self.measures for field in (m,))]
        twice = sorted({column for column in stored if stored.count(column) > 1})
        return found + [f"totals.{name}: {column!r} is both group and measure" for column in twice]


def _measure(name: str, given: Any) -> Any:
    if isinstance(given, Measure):
        return given
    if isinstance(given, dict) and len(given) == 1:
        function, column = next(iter(given.items()))
    else:
        function, column = given, name
    if function not in FUNCTIONS:
        raise ValueError(f"{name}: {function!r} is not a measure; allowed: {', '.join(FUNCTIONS)}")
    return Measure(function=function, column=None if function == "count" else column)
