"""The README's commands do what it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from commands import isopach

from isopach.feeds.sales import write_night

ROOT = Path(__file__).resolve().parents[2]
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


def ran(words: list[str]) -> tuple[int, str]:
    """Run a command where this process is: `isopach` in it, for each start takes seconds."""
    if words[0] == "isopach":
        done = isopach(*words[1:])
        return done.code, done.out + done.err
    assert words[0] == "python"
    said = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=False)
    return said.returncode, said.stdout + said.stderr


@pytest.mark.slow
def test_other_commands_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "feeds").symlink_to(ROOT / "feeds")
    (tmp_path / "bench").symlink_to(ROOT / "bench")
    write_night(tmp_path / "landing", date(2026, 3, 8), rows=2000, faults=True)
    monkeypatch.chdir(tmp_path)
    codes = {}
    for command in COMMANDS:
        if command.startswith("make ") or not has_tools(command):
            continue
        for written, smaller in SMALLER.items():
            command = command.replace(written, smaller)
        code, said = ran(shlex.split(command))
        assert code in (0, HELD), f"{command}\n{said}"
        assert "Traceback" not in said
        codes[command] = code
    held = [command for command, code in codes.items() if code == HELD]
    assert [command.split()[:3] for command in held] == [
        ["isopach", "nightly", "sales"],
        ["isopach", "nightly", "sales"],
        ["isopach", "repair", "sales"],
        ["isopach", "status", "sales"],
        ["isopach", "export", "sales"],
        ["isopach", "nightly", "flights"],
    ]
