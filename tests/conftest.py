"""What all tests share: services, and that no property test has a deadline: machines differ."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "services"))

from fixtures import broker, dataflow  # noqa: F401

# Most of what Java runs here ends before it has paid to compile it well; benchmarks pay.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")

settings.register_profile("isopach", deadline=None)
settings.load_profile("isopach")
