"""The README's commands do what it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from isopach.feeds.sales import write_night

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.removeprefix("$ ").split("  #")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
SMALLER = {
    "2013-01-01..2013-01-31": "2013-01-01..2013-01-02",
    "--rows 1000000": "--rows 20000 --peers polars,isopach",
}
HELD = 3


def test_the_first_screen_names_both_commands() -> None:
    first = README.split("\n## ")[0]
    assert [c for c in COMMANDS if c in first][:2] == ["make demo", "make test"]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_targets_are_there(command: str) -> None:
    said = subprocess.run([*command.split(), "-n"], cwd=ROOT, capture_output=True, check=False)
    assert said.returncode == 0, said.stderr


def has_tools(command: str) -> bool:
    """Tell whether this machine can build the engine that a command starts: Prism, with Go."""
    return " continuous" not in command or shutil.which("go") is not None


@pytest.mark.slow
def test_other_commands_run_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "feeds").symlink_to(ROOT / "feeds")
    (tmp_path / "bench").symlink_to(ROOT / "bench")
    write_night(tmp_path / "landing", date(2026, 3, 8), rows=2000, faults=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    codes = {}
    for command in COMMANDS:
        if command.startswith("make ") or not has_tools(command):
            continue
        for written, smaller in SMALLER.items():
            command = command.replace(written, smaller)
        done = subprocess.run(
            shlex.split(command),
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, HELD), f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        codes[command] = done.returncode
    held = [command for command, code in codes.items() if code == HELD]
    assert [command.split()[:3] for command in held] == [
        ["isopach", "nightly", "sales"],
        ["isopach", "nightly", "sales"],
        ["isopach", "repair", "sales"],
        ["isopach", "status", "sales"],
        ["isopach", "export", "sales"],
        ["isopach", "nightly", "flights"],
    ]
