"""Why a job failed, found in all that an engine in Java says of it."""

from __future__ import annotations

import re

CAUSES = (r"^.*\[while running '.*$", r"^Caused by: .+$", r"^Exception in .+$", r"^Error: .+$")
"""Lines that say why, those of our own transforms first."""


def cause_of(said: str) -> str:
    """Return the line that says best why a job failed; what the engine said last, else."""
    found = (re.findall(cause, said, re.MULTILINE) for cause in CAUSES)
    lines = next(filter(None, found), None) or said.strip().splitlines()[-1:]
    return lines[-1].strip() if lines else "it said nothing"
