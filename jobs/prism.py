"""Beam's own local engine, Prism: found or built, and run for as long as it is needed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from isopach.jobs.built import built, run_tool
from isopach.jobs.engines import Engine, EngineError, Say, find_tool, portable
from isopach.jobs.processes import kept_on_error, running
from isopach.jobs.silence import lost_streams_silenced

MODULE = "github.com/apache/beam/sdks/v2"
STAGE = "go/pkg/beam/runners/prism/internal/stage.go"
ASKED = "\t\tcase <-progTick.C:\n"
MENDED = f"{ASKED}\t\t\tif wk == nil {{\n\t\t\t\tcontinue progress\n\t\t\t}}\n"
"""Prism asks the worker of a bundle that takes 0.1 s how far it is, and ends the job where there is
none, as for its own transforms: on a busy machine, a stream within minutes."""
START_SECONDS = 30.0
PORT = r"Serving JobManagement.*?localhost:(\d+)"


@contextmanager
def prism(binary: Path | None = None, say: Say = print) -> Iterator[Engine]:
    """Run Prism on a free port; it is stopped at the end, and its log kept after an error.

    Raises EngineError when it cannot be had or started.

    Args:
        binary: where it is; by default it is looked up, and built with Go the first time.
    """
    command = _command(binary or find_prism(say))
    with (
        lost_streams_silenced(),
        kept_on_error("prism") as logs,
        running("prism", command, logs) as process,
    ):
        endpoint = f"localhost:{process.wait_for(PORT, START_SECONDS)}"
        process.wait_to_answer(endpoint, START_SECONDS)
        # split among the sources of one bundle, it loses some of them for as long as it runs
        options = (*portable(endpoint), "--experiments=prism_disable_sdf_split")
        yield Engine("prism", endpoint, options, process.pid, process.log)


def find_prism(say: Say = print) -> Path:
    """Return Prism's binary: the one on the PATH, or the one in the cache, built if need be."""
    on_path = shutil.which("prism")
    if on_path and _is_prism(on_path):
        return Path(on_path)
    release = version("apache-beam")

    def build(folder: Path) -> None:
        _build(folder, release, say)

    return built(f"prism-{release}-mended", build) / "prism"


def _build(folder: Path, release: str, say: Say) -> None:
    go = find_tool(
        "go",
        "Prism, the engine of continuous runs, is built with it",
        "install Go (https://go.dev/dl), or unpack prism from the release of Beam "
        f"{release} (https://github.com/apache/beam/releases) into a folder on the PATH",
    )
    say(f"Building Prism {release} with Go; this happens once and takes a minute or two")
    run_tool([go, "mod", "download", f"{MODULE}@v{release}"], "Fetching Prism")
    with TemporaryDirectory(prefix="isopach-prism-") as scratch:
        copied = mended(_cached(go) / f"{MODULE}@v{release}", Path(scratch) / "beam")
        command = [go, "-C", str(copied), "build", "-buildvcs=false", "-o", str(folder)]
        run_tool([*command, "./go/cmd/prism"], "Building Prism")


def mended(module: Path, folder: Path) -> Path:
    """Return a folder with a copy of Beam for Go, without the fault where it is known."""
    shutil.copytree(module / "go", folder / "go", copy_function=shutil.copyfile)
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(module / name, folder / name)
    stage = folder / STAGE
    stage.write_text(stage.read_text().replace(ASKED, MENDED))
    return folder


def _cached(go: str) -> Path:
    """Return the folder of the modules that Go has fetched."""
    said = subprocess.run([go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True)
    return Path(said.stdout.strip())


def _is_prism(program: str) -> bool:
    """Tell Beam's Prism from other programs of that name, by its flags."""
    try:
        said = subprocess.run(
            [program, "-help"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"idle_shutdown_timeout" in said.stderr + said.stdout


def _command(binary: Path) -> list[str]:
    if not shutil.which(binary):
        raise EngineError(f"{binary} is not a program; give the path of a Prism binary")
    return [str(binary), "--job_port=0", "--serve_http=false", "--log_kind=text"]
