"""Run commands of the command line in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from isopach.jobs.cli import app


class Result(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


def isopach(*arguments: str | Path, width: int = 300) -> Result:
    """Run a command in this process; whatever it does not expect is raised."""
    environment = {"COLUMNS": str(width), "ISOPACH_LAKE": "", "NO_COLOR": "1"}
    found = CliRunner().invoke(app, [str(a) for a in arguments], env=environment)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return Result(found.exit_code, found.stdout, found.stderr)


def refused(result: Result, code: int) -> str:
    """Return the one message of a command that did not do what was asked."""
    assert result.code == code
    assert result.out == ""
    assert "Traceback" not in result.err
    return result.err.strip()
