"""What all tests share: machines differ in speed, so no property test has a deadline."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("isopach", deadline=None)
settings.load_profile("isopach")
