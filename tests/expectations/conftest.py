"""What tests of expectations share: Great Expectations, which takes seconds to import."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from judging import Judge


@pytest.fixture(scope="session")
def judge() -> Judge:
    return Judge()
