"""No account may do more than a command of its needs, and the page says which command that is."""

from __future__ import annotations

import re

import pytest
from bindings import Row, aws_rows, google_rows, told_rows
from configurations import Copy, planned
from terraform import MODULES

ROWS = {"google": google_rows, "aws": aws_rows}
CLOUDS = [cloud for cloud in ROWS if (MODULES / cloud).is_dir()]
WIDE = re.compile(r"(^|/)(owner|editor|viewer)$|[aA]dmin|(^|:)\*$")
DELEGATED = ("account", "kms:*", "Account")
"""A key's policy that leaves it to the account's other policies: without, nobody could mend it."""
COMMANDS = re.compile(r"isopach (nightly|submit|stream|publish|status|maintain|demo)|jobs/spark/")


@pytest.fixture(scope="module")
def plans() -> dict[str, set[Row]]:
    return {}


@pytest.fixture
def rows(cloud: Copy, plans: dict[str, set[Row]]) -> set[Row]:
    """The bindings that production's plan has."""
    if cloud.cloud not in plans:
        events = cloud.test(cloud.configuration("envs/prod"), plans=True)
        plans[cloud.cloud] = ROWS[cloud.cloud](planned(events))
    return plans[cloud.cloud]


@pytest.mark.parametrize("cloud", CLOUDS, indirect=True)
def test_each_binding_is_told_with_the_command_that_needs_it(cloud: Copy, rows: set[Row]) -> None:
    told = told_rows(MODULES / cloud.cloud / "README.md")
    assert len(rows) > 20
    assert {row for row in rows if row not in told} == set(), "not told"
    assert {row for row in told if row not in rows} == set(), "told, and not there"
    for row, needed in told.items():
        assert COMMANDS.search(needed) or needed.startswith(("the service", "a night", "sites")), (
            row
        )


@pytest.mark.parametrize("cloud", CLOUDS, indirect=True)
def test_no_role_is_wide(cloud: Copy, rows: set[Row]) -> None:
    assert [row for row in rows if WIDE.search(row[1]) and row != DELEGATED] == []
