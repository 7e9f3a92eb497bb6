"""Column types of a feed, in the words of its YAML, of Arrow and of Polars."""

from __future__ import annotations

import io
import json
import re
from typing import Annotated, Any

import polars as pl
import pyarrow as pa
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from isopach.feeds.zones import ZoneName

TYPES: dict[str, pa.DataType] = {
    "string": pa.large_string(),
    "boolean": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")
ALLOWED = ", ".join(TYPES) + ", decimal(precision,scale) with scale <= precision <= 38"

MASK = "•••"
"""What stands for a value of a sensitive column."""

COLUMN = r"^[A-Za-z][A-Za-z0-9_]{0,126}$"
ColumnName = Annotated[str, Field(pattern=COLUMN)]


def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type of a declared column type; raises ValueError naming what is allowed."""
    if name in TYPES:
        return TYPES[name]
    decimal = DECIMAL.fullmatch(name)
    if decimal and 0 < int(decimal[1]) <= 38 and int(decimal[2]) <= int(decimal[1]):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    raise ValueError(f"{name!r} is not a column type; allowed: {ALLOWED}")


def type_name(kind: pa.DataType) -> str:
    """Return the name by which a feed declares an Arrow type."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return next(name for name, known in TYPES.items() if known == kind)


def polars_type(kind: pa.DataType) -> pl.DataType:
    """Return the Polars type that an Arrow type is read as."""
    series = pl.from_arrow(pa.array([], kind))
    assert isinstance(series, pl.Series)
    return series.dtype


def stored_type(kind: pl.DataType) -> pl.DataType:
    """Return the column type that holds values of a Polars type; raises ValueError if none does."""
    if kind.is_integer():
        return (
            pl.Int32() if kind in (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16) else pl.Int64()
        )
    if kind.is_float():
        return pl.Float64()
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        return pl.Datetime("us", "UTC")
    if isinstance(kind, pl.Categorical | pl.Enum):
        return pl.String()
    if kind in (pl.String, pl.Boolean, pl.Date) or isinstance(kind, pl.Decimal):
        return kind
    raise ValueError(f"is a {kind}; allowed: {ALLOWED}")


def _known(name: str) -> str:
    arrow_type(name)
    return name


def _short(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


TypeName = Annotated[
    str,
    AfterValidator(_known),
    Field(
        description=f"One of {ALLOWED}.",
        json_schema_extra={"anyOf": [{"enum": list(TYPES)}, {"pattern": f"^{DECIMAL.pattern}$"}]},
    ),
]


class Column(BaseModel):
    """A declared column."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: TypeName
    required: bool = Field(default=False, description="A row without a value is rejected.")
    sensitive: bool = Field(default=False, description="Masked in reports and differences.")
    zone: ZoneName | None = Field(
        default=None,
        description="How timestamps without an offset are read: `site` or an IANA zone. "
        "Without it they are rejected.",
    )

    @model_validator(mode="after")
    def _zoned(self) -> Column:
        if self.zone and self.type != "timestamp":
            raise ValueError(f"zone is for columns of type timestamp, not {self.type}")
        return self

    @property
    def arrow(self) -> pa.DataType:
        return arrow_type(self.type)


ColumnOrType = Annotated[Column, BeforeValidator(_short, json_schema_input_type=Column | TypeName)]
"""A column as it is written: a mapping, or its type alone."""

# fmt: off
ROW_WISE = frozenset([
    "Abs", "Atan2", "Bitwise.CountOnes", "Boolean.IsNotNull", "Boolean.IsNull", "Boolean.Not",
    "Ceil", "Coalesce", "Exp", "FillNull", "Floor", "ListExpr", "Log", "Log1p", "MaxHorizontal",
    "MinHorizontal", "Pow", "Sign", "Sql", "StringExpr", "TemporalExpr", "Trigonometry",
    "Truncate",
])
# fmt: on
"""Polars functions, as it names them itself, that look at no other row."""


LENIENT_CAST = ('"options":"Strict"', '"options":"NonStrict"')
"""As Polars writes the options of a cast."""


def derived(name: str, sql: str, rows: pl.DataFrame) -> pl.Expr:
    """Return a column's SQL as a Polars expression, in a type that the lake stores.

    Args:
        rows: an empty frame of the columns that the SQL may name.

    A value that does not fit its CAST is null: one row fails no batch.

    Raises ValueError where the SQL is wrong, names other columns or looks at other rows.
    """
    where = f"derive.{name}: {sql!r}"
    try:
        written = pl.sql_expr(sql).meta.serialize(format="json").replace(*LENIENT_CAST)
        expression = pl.Expr.deserialize(io.StringIO(written), format="json")
        beyond = _beyond_row(json.loads(written))
        if beyond:
            raise ValueError(
                f"{where} is not computed row by row ({beyond}); "
                "a derived column may use the values of its own row alone"
            )
        unknown = sorted(set(expression.meta.root_names()) - set(rows.columns))
        if unknown:
            raise ValueError(
                f"{where} names {', '.join(unknown)}; columns: {', '.join(rows.columns)}"
            )
        kind = rows.select(expression.alias(name)).schema[name]
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{where}: {str(error).splitlines()[0]}") from error
    try:
        return expression.cast(stored_type(kind)).alias(name)
    except ValueError as error:
        raise ValueError(f"{where} {error}") from error


def _beyond_row(node: Any) -> str | None:
    """Return the first part of a serialised expression that may look at other rows."""
    if isinstance(node, str):
        return node
    ((kind, content),) = node.items()
    if kind in ("Column", "Literal"):
        return None
    if kind == "Function" and (function := _function(content["function"])) not in ROW_WISE:
        return function
    parts = _parts(kind, content)
    if parts is None:
        return kind if kind != "Agg" else f"{kind}.{next(iter(content))}"
    return next((found for part in parts if (found := _beyond_row(part))), None)


def _parts(kind: str, content: Any) -> list[Any] | None:
    """Return what an expression of a kind is made of; None if it may look at other rows."""
    if kind == "BinaryExpr":
        return [content["left"], content["right"]]
    if kind == "Ternary":
        return list(content.values())
    if kind == "Alias":
        return [content[0]]
    inside: Any = {"Function": "input", "Cast": "expr"}.get(kind)
    if inside is None:
        return None
    return content[inside] if kind == "Function" else [content[inside]]


def _function(node: Any) -> str:
    """Return a function's name; for some families with the member's."""
    if isinstance(node, str):
        return node
    ((name, member),) = node.items()
    if name in ("Boolean", "Bitwise"):
        return f"{name}.{member if isinstance(member, str) else next(iter(member))}"
    return str(name)
