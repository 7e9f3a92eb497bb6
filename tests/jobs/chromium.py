"""A real browser for tests of pages, and the accessibility checks that run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from isopach.jobs.built import built, run_tool
from isopach.jobs.engines import EngineError

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
INSTALL_SECONDS = 300
AXE = "4.14.1"


def chromium_path() -> str:
    """Return where Chromium is; root installs it, and else a test without it is skipped."""
    if _found() is None and os.geteuid() == 0 and shutil.which(INSTALL[0]):
        subprocess.run(INSTALL, capture_output=True, timeout=INSTALL_SECONDS)
    path = _found()
    if path is None:
        pytest.skip(f"no Chromium here, and it cannot be installed: {' '.join(INSTALL)}")
    return path


def _found() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    path = chromium_path()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, kept where built engines are."""
    if shutil.which("npm") is None:
        pytest.skip("no npm here: it brings axe-core")
    try:
        folder = built(f"axe-core-{AXE}", _install_axe)
    except EngineError as error:
        pytest.skip(f"axe-core cannot be had: {error}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


def _install_axe(folder: Path) -> None:
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    run_tool(["npm", "install", *options, f"axe-core@{AXE}"], "the installation of axe-core")
