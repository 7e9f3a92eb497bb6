"""Lets these tests import what they share, and gives each an empty landing zone and lake."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_night import SmallNight, declare


@pytest.fixture
def night(tmp_path: Path) -> SmallNight:
    return SmallNight(tmp_path, declare(tmp_path))
