"""Lets these tests import the small night that those of the pipelines share, and use a browser."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "pipelines"))

from chromium import axe, browser  # noqa: F401
