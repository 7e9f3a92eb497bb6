"""The runbook tells of what there is: alarms, exit codes, commands, files."""

from __future__ import annotations

import re

import pytest
from nights import parsed
from terraform import MODULES

from isopach.jobs.failures import BAD_USAGE, DONE, FAILED, HELD

ROOT = MODULES.parents[1]
RUNBOOK = ROOT / "docs" / "runbook.md"
PAGES = sorted([RUNBOOK, *MODULES.rglob("*.md")])


def test_each_alarm_is_told_of() -> None:
    told = set(re.findall(r"`(\w+)`", RUNBOOK.read_text()))
    kinds: set[str] = set()
    for cloud in ("google", "aws"):
        modules = MODULES / cloud / "modules"
        main = (modules / "alerts" / "main.tf").read_text()
        kinds |= set(re.findall(r"^    (\w+) += \{ (?:severity|metric|pattern)", main, re.M))
        for path in modules.glob("schedule/night.*"):
            kinds |= set(re.findall(r'"alarm": "(\w+)"', path.read_text()))
    assert len(kinds) == 13
    assert kinds <= told


def test_exit_codes_are_told_of() -> None:
    table = re.findall(r"^\| (\d+) \| [^|]* \|$", RUNBOOK.read_text(), re.M)
    assert [int(code) for code in table] == [DONE, FAILED, BAD_USAGE, HELD, 124]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: object) -> None:
    assert isinstance(path, type(RUNBOOK))
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target
    headings = re.findall(r"^## (.*)$", path.read_text(), re.M)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", path.read_text())) <= anchors


def test_commands_that_render_are_commands() -> None:
    found = re.findall(r"^isopach (infra [^#\n]*)$", RUNBOOK.read_text(), re.M)
    assert found
    for command in found:
        parsed(command.split())
        assert (ROOT / command.split()[-1] / "main.tf").is_file()


def test_terraform_is_told_where_its_state_is_by_the_page() -> None:
    for path in MODULES.glob("*/envs/*/main.tf"):
        assert "backend" in path.read_text()
    assert "-backend-config=bucket=" in RUNBOOK.read_text()
