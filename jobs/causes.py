"""Why a job failed, found in all that an engine in Java says of it."""

from __future__ import annotations

import re

CAUSES = (
    r"^.*\[while running '.*$",
    r"Executor updated: .* is now (FAILED \(.+\))(?s:(?=.*stopped SparkContext))",
    r"^Caused by: (.+)$",
    r"^Exception in (.+)$",
    r"^Error: (.+)$",
)
"""Lines that say why, those of our own transforms first; Spark then says what it did about it."""
SAID = r"^(?!\s*at ).*\S.*$"
"""Lines that are none of a trace of calls."""
ERROR = r"^(?:[\w.$]+: )+(?=[\w.$]+(?:Exception|Error): )"
"""Names of errors in Java that wrap another one."""


def cause_of(said: str) -> str:
    """Return the line that says best why a job failed; what the engine said last, else.

    Of a chain of causes that is the last one, or one before that says the same and more.
    """
    found = (re.findall(cause, said, re.MULTILINE) for cause in CAUSES)
    lines = next(filter(None, found), None) or re.findall(SAID, said, re.MULTILINE)[-1:]
    if not lines:
        return "it said nothing"
    chosen = lines.pop()
    while lines and lines[-1].endswith(_message(chosen)):
        chosen = lines.pop()
    return re.sub(ERROR, "", chosen.strip())


def _message(line: str) -> str:
    """Return what a line says behind the names of errors."""
    return line.partition(": ")[2] or line
