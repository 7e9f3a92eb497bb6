"""The cache of what engines are built from: made once, complete or not at all."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from isopach.jobs.engines import EngineError


def cache_folder() -> Path:
    """Return where built engines are kept: ISOPACH_CACHE, or the user's cache folder."""
    chosen = os.environ.get("ISOPACH_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "isopach"


def built(name: str, build: Callable[[Path], None]) -> Path:
    """Return a cached folder, which is built first if it is not there.

    Args:
        build: fills an empty folder; processes that want the same one wait for the first.
    """
    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f".{name}.lock")):
            if not folder.is_dir():
                _build(folder, build)
    except PermissionError as error:
        raise EngineError(
            f"{error.filename}: cannot be written; set ISOPACH_CACHE to a folder that can"
        ) from error
    return folder


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        unfinished = Path(scratch) / folder.name
        unfinished.mkdir()
        build(unfinished)
        unfinished.rename(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_tool(command: list[str], what: str, env: Mapping[str, str] | None = None) -> None:
    """Run a build tool to its end; raises EngineError with the end of what it said."""
    done = subprocess.run(
        command,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-10:]) or "it said nothing"
        raise EngineError(
            f"{what} failed ({' '.join(command)} ended with {done.returncode}); "
            f"with the cause below mended, start again:\n{said}"
        )
