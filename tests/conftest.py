"""What all tests share: services, and that no property test has a deadline: machines differ."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "services"))

from fixtures import broker, dataflow  # noqa: F401

settings.register_profile("isopach", deadline=None)
settings.load_profile("isopach")
