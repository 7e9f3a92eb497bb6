"""Validate: what Great Expectations finds in a table, by expectation."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isopach.expectations.frames import to_kwargs
from isopach.expectations.gx import great_expectations
from isopach.feeds.suites import Expectation

LABEL = "isopach_label"
NO_ROWS: NDArray[np.int64] = np.empty(0, np.int64)


@dataclass(frozen=True)
class Found:
    """What came of one expectation over one table.

    `evaluated` rows had a value to look at, and `unexpected` of them do not meet it (both None
    where it is not about single rows); `rows` are the numbers of these, where asked for. `error`
    says why it could not be looked at.
    """

    success: bool
    unexpected: int | None = None
    evaluated: int | None = None
    observed: str | None = None
    error: str | None = None
    rows: NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)


def validate(
    table: Any,
    expectations: Mapping[str, Expectation],
    schema: pa.Schema,
    with_rows: bool = False,
) -> dict[str, Found]:
    """Return what is found for each expectation, by label.

    Threads may do so at once: each has its own context, as one batch definition that is shared
    gives other batches' results (Great Expectations 1.24).

    Args:
        table: a pandas frame (see `to_pandas`), or one of Spark (see `to_spark`).
        schema: of the table's columns as they were declared.
        with_rows: also find out which rows are unexpected (pandas only).
    """
    suite = great_expectations().ExpectationSuite(
        name="gate",
        expectations=[
            {
                "type": one.type,
                "kwargs": to_kwargs(one, schema),
                "severity": one.severity,
                "meta": {LABEL: label},
            }
            for label, one in expectations.items()
        ],
    )
    detail = "COMPLETE" if with_rows else "BASIC"
    asked = {"result_format": detail, "partial_unexpected_count": 0}
    with np.errstate(invalid="ignore"):  # booleans with missing ones are compared as objects
        result = _batch(table).validate(suite, result_format=asked)
    return {one.expectation_config.meta[LABEL]: _found(one, with_rows) for one in result.results}


def _found(one: Any, with_rows: bool) -> Found:
    told, failed = one.result, one.exception_info or {}
    if failed.get("raised_exception") is not False:
        return Found(False, error=_message(failed))
    elements = told.get("element_count")
    rows = told.get("unexpected_index_list") if with_rows else None
    value = told.get("observed_value")
    return Found(
        success=bool(one.success),
        unexpected=told.get("unexpected_count"),
        evaluated=None if elements is None else elements - (told.get("missing_count") or 0),
        observed=None if value is None else json.dumps(value, default=str),
        rows=np.asarray(rows, np.int64) if rows else NO_ROWS,
    )


def _message(failed: Mapping[str, Any]) -> str:
    """Return what was raised: it is kept by the metric that raised it."""
    said = [failed, *(each for each in failed.values() if isinstance(each, dict))]
    messages = {str(each["exception_message"]) for each in said if each.get("exception_message")}
    return "; ".join(sorted(messages)) or "it could not be looked at"


class _Contexts(threading.local):
    """A context for each thread, with what it needs to be given tables."""

    def __init__(self) -> None:
        library = great_expectations()
        self.context = library.get_context(mode="ephemeral")
        progress = library.data_context.types.base.ProgressBarsConfig(globally=False)
        self.context.variables.progress_bars = progress
        self.definitions: dict[str, Any] = {}

    def definition(self, kind: str) -> Any:
        if kind not in self.definitions:
            sources = self.context.data_sources
            source = (
                sources.add_pandas(kind)
                if kind == "pandas"
                else sources.add_spark(kind, persist=False)
            )
            asset = source.add_dataframe_asset("staged")
            self.definitions[kind] = asset.add_batch_definition_whole_dataframe("all")
        return self.definitions[kind]


_contexts: list[_Contexts] = []
_lock = threading.Lock()


def _batch(table: Any) -> Any:
    with _lock:  # the first one imports the library
        if not _contexts:
            _contexts.append(_Contexts())
    kind = "spark" if type(table).__module__.startswith("pyspark") else "pandas"
    definition = _contexts[0].definition(kind)
    return definition.get_batch(batch_parameters={"dataframe": table})
