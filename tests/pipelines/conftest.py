from __future__ import annotations

from pathlib import Path

import pytest
from small_night import SmallNight, declare


@pytest.fixture
def night(tmp_path: Path) -> SmallNight:
    return SmallNight(tmp_path, declare(tmp_path))
