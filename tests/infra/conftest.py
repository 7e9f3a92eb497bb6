"""Copies of the Terraform, made once a session: what `init` leaves is never in the sources."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from configurations import Copy, copied
from terraform import missing_for


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Copy]:
    """What returns the copy of a cloud's Terraform that all tests share."""
    return cache(lambda cloud: copied(cloud, tmp_path_factory.mktemp(cloud)))


@pytest.fixture
def cloud(request: pytest.FixtureRequest, copies: Callable[[str], Copy]) -> Copy:
    """A cloud's Terraform; skips where its providers cannot be had."""
    if reason := missing_for(request.param):
        pytest.skip(f"no Terraform for {request.param}: {reason}")
    return copies(request.param)
