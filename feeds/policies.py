"""Policies of a feed: what may be late, differ, or fail, and what is done about it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

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
