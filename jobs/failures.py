"""Exit codes, and expected failures told in one message instead of a traceback."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from isopach.jobs.causes import cause_of

TRACE = "Traceback (most recent call last)"
"""What engines in other processes pass on of a worker's error."""
DONE, FAILED, BAD_USAGE, HELD, STOPPED = 0, 1, 2, 3, 130


@contextmanager
def explained(console: Console) -> Iterator[None]:
    """Turn an expected failure into one message and its exit code; others are raised."""
    try:
        yield
    except typer.Exit:  # it was told already
        raise
    except BaseException as error:
        if any(isinstance(one, KeyboardInterrupt) for one in chain(error)):
            raise KeyboardInterrupt from None
        code = _code(error)
        if code is None:
            raise
        console.print(_message(error), style="red", markup=False, highlight=False)
        raise typer.Exit(code) from None


def _code(error: BaseException) -> int | None:
    from deltalake.exceptions import DeltaError

    from isopach.feeds.errors import DeclarationError
    from isopach.jobs.sessions import SparkMissingError
    from isopach.jobs.settled import NotAsSettledError
    from isopach.lake.commits import CommitRefusedError, SchemaChangeError
    from isopach.lake.landings import LandingLostError
    from isopach.lake.places import PlaceError
    from isopach.pipelines.evidence import EvidenceError
    from isopach.pipelines.logs import LogError

    if isinstance(error, DeclarationError | PlaceError | SchemaChangeError | SparkMissingError):
        return BAD_USAGE
    from_worker = "[while running" in str(error)  # Beam passed it on
    expected = isinstance(
        error,
        OSError
        | CommitRefusedError
        | LandingLostError
        | LogError
        | DeltaError
        | EvidenceError
        | NotAsSettledError,
    )
    return FAILED if expected or from_worker or any(map(_is_full, chain(error))) else None


def _message(error: BaseException) -> str:
    full = next(filter(_is_full, chain(error)), None)
    text = re.sub(r"\x1b\[\d*m", "", str(full or error))  # delta-rs colours what it says
    if full is None:
        return cause_of(text) if TRACE in text else text
    return (
        f"no space left: {' '.join(text.split())}; free some and run again: "
        "what this run began is then finished or started over"
    )


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_full(error: BaseException) -> bool:
    """Tell whether a disk is full; delta-rs says so in its text only."""
    return isinstance(error, OSError) and (
        error.errno == errno.ENOSPC or f"os error {errno.ENOSPC}" in str(error)
    )
