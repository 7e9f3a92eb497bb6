"""The machine and the versions that a result was measured with."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import psutil

PACKAGES = (
    "apache-beam",
    "deltalake",
    "polars",
    "pyarrow",
    "duckdb",
    "pyspark",
    "delta-spark",
    "confluent-kafka",
)


def measured_on() -> str:
    """Return when and where results were measured that are written now."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return f"Measured {now} on {describe()}.\n{versions()}."


def describe() -> str:
    """Return cores, memory, system, Python and Java in one line."""
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.machine()}"
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {system}, {python}, {java()}"


def versions() -> str:
    """Return the installed versions of what the peers use."""
    return ", ".join(f"{name} {installed(name)}" for name in PACKAGES)


def installed(name: str) -> str:
    """Return a package's version, or that there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def java() -> str:
    """Return the version of Java on the path."""
    command = shutil.which("java")
    if command is None:
        return "no Java"
    said = subprocess.run([command, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "([^"]+)"', said.stderr)
    return f"Java {found[1]}" if found else "Java of unknown version"
