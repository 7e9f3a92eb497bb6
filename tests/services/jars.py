"""Jars that a service for tests runs on, copied once by Maven into a folder Git ignores."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from functools import cache
from pathlib import Path

SERVICES = Path(__file__).parents[2] / ".services"
COPY_SECONDS = 600


class ServiceError(Exception):
    """A service that cannot be made ready or does not start; the message says why."""


def missing_tools() -> str:
    """Return why services in Java cannot run here; empty if they can."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


@cache
def copied_jars(pom: Path) -> Path:
    """Return the folder with what a pom.xml depends on; processes wait for who copies it."""
    version = hashlib.sha256(pom.read_bytes()).hexdigest()[:8]
    folder = SERVICES / pom.parent.name / version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _copy(pom, folder)
    return folder


def _copy(pom: Path, folder: Path) -> None:
    """Copy to another name first, so that a folder which is there is whole."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
    done = subprocess.run(
        [*command, f"-DoutputDirectory={partial}"],
        capture_output=True,
        text=True,
        timeout=COPY_SECONDS,
    )
    if done.returncode:
        raise ServiceError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr}")
    partial.rename(folder)
