"""Column types of a feed, in the words of its YAML, of Arrow and of Polars."""

from __future__ import annotations

import re
from typing import Annotated, Any

import polars as pl
import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

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


def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type of a declared column type; raises ValueError naming what is allowed."""
    if name in TYPES:
        return TYPES[name]
    decimal = DECIMAL.fullmatch(name)
    if decimal and 0 < int(decimal[1]) <= 38 and int(decimal[2]) <= int(decimal[1]):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    raise ValueError(f"{name!r} is not a column type; allowed: {ALLOWED}")


def polars_type(kind: pa.DataType) -> pl.DataType:
    """Return the Polars type that an Arrow type is read as."""
    series = pl.from_arrow(pa.array([], kind))
    assert isinstance(series, pl.Series)
    return series.dtype


def _known(name: str) -> str:
    arrow_type(name)
    return name


class Column(BaseModel):
    """A declared column."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Annotated[str, AfterValidator(_known)] = Field(description=f"One of {ALLOWED}.")
    required: bool = Field(default=False, description="A row without a value is rejected.")
    sensitive: bool = Field(default=False, description="Masked in reports and differences.")
    zone: ZoneName | None = Field(
        default=None,
        description="How timestamps without an offset are read: `site` or an IANA zone. "
        "Without it they are rejected.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _zoned(self) -> Column:
        if self.zone and self.type != "timestamp":
            raise ValueError(f"zone is for columns of type timestamp, not {self.type}")
        return self

    @property
    def arrow(self) -> pa.DataType:
        return arrow_type(self.type)
