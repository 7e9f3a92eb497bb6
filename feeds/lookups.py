"""Lookups: columns joined to each row from a small reference table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import pyarrow as pa
from deltalake.exceptions import DeltaError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)

from isopach.feeds.columns import ColumnName, stored_type


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Lookup(BaseModel):
    """A reference table (Parquet file or Delta folder), read once when the feed is loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="Parquet file or Delta table, relative to the feed's file.")
    on: Annotated[
        tuple[str, ...],
        BeforeValidator(_several, json_schema_input_type=str | list[str]),
        Field(min_length=1),
    ]
    columns: tuple[ColumnName, ...] = Field(min_length=1)
    _table: pl.DataFrame = PrivateAttr()

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> Lookup:
        named = [*self.on, *self.columns]
        if len(set(named)) < len(named):
            raise ValueError(f"on and columns name a column twice: {', '.join(named)}")
        folder: Path = (info.context or {}).get("folder", Path())
        self._table = read_reference(folder / self.path, named, list(self.on))
        return self

    @property
    def table(self) -> pl.DataFrame:
        """The reference rows: `on` columns (unique together) and the columns looked up."""
        return self._table

    @property
    def fields(self) -> list[pa.Field]:
        """The columns that the lookup adds to a row."""
        return list(self._table.select(self.columns).head(0).to_arrow().schema)


def read_reference(path: Path, columns: list[str], on: list[str]) -> pl.DataFrame:
    """Read a reference table; raises ValueError naming the path and what is wrong with it."""
    if not path.exists():
        raise ValueError(f"path: {path} does not exist")
    try:
        lazy = pl.scan_delta(str(path)) if path.is_dir() else pl.scan_parquet(path, glob=False)
        known = lazy.collect_schema().names()
        missing = [column for column in columns if column not in known]
        if missing:
            raise ValueError(
                f"{path} has no column {', '.join(missing)}; it has {', '.join(known)}"
            )
        table = lazy.select(columns).collect()
        table = table.cast({name: _stored(path, name, kind) for name, kind in table.schema.items()})
    except (OSError, pl.exceptions.PolarsError, DeltaError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"path: {path} cannot be read as Parquet or Delta: {reason}") from error
    twice = table.filter(table.select(on).is_duplicated())
    if not twice.is_empty():
        raise ValueError(f"{path}: {on} is not unique, for one {twice.select(on).row(0)}")
    return table


def _stored(path: Path, name: str, kind: pl.DataType) -> pl.DataType:
    try:
        return stored_type(kind)
    except ValueError as error:
        raise ValueError(f"{path}: column {name!r} {error}") from error
