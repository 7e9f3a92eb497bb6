"""Engines that run beside us, and the errors of starting them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

YEAR = 366 * 24 * 60 * 60
"""Seconds; the default of five minutes also cuts the stream of job states, and so the job."""

JOBS_AT = r"JobService started on (localhost:\d+)"
"""Where a job server says that it takes jobs."""
UNBOUNDED = ("--runner=PortableRunner", "--streaming")

Say = Callable[[str], None]
"""Tells the user what takes long."""


class EngineError(OSError):
    """An engine that cannot be built or started; says what is missing and what to do."""


@dataclass(frozen=True)
class Engine:
    """A running engine: where it takes jobs, and the options to send them with.

    `pid` is the process that takes the jobs, `log` what it has said so far.
    """

    name: str
    endpoint: str
    options: tuple[str, ...]
    pid: int
    log: Path


@dataclass(frozen=True)
class Receipt:
    """A job that runs without this process; `process` is what the ledger calls it."""

    job: str
    job_name: str
    console: str
    process: str


def job_service(state: Path) -> tuple[str, ...]:
    """Return how a job server of Beam's serves: on free ports, with its files in a folder."""
    return (
        "--job-host=localhost",
        "--job-port=0",
        "--artifact-port=0",
        "--expansion-port=-1",
        f"--artifacts-dir={state}/artifacts",
    )


def portable(endpoint: str) -> tuple[str, ...]:
    """Return Beam's options for jobs at an endpoint, whose worker lives in this process.

    What is installed here is not told to it: to list that takes pip most of a second.
    """
    return (
        f"--job_endpoint={endpoint}",
        f"--job_server_timeout={YEAR}",
        "--environment_type=LOOPBACK",
        "--experiments=disable_logging_submission_environment",
    )


def find_tool(name: str, purpose: str, install: str) -> str:
    """Return the path of a program; raises EngineError saying what to install."""
    found = shutil.which(name)
    if found is None:
        raise EngineError(f"{name} is not on the PATH, and {purpose}; {install}")
    return found
