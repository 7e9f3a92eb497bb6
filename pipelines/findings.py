"""Findings: what a verification saw that does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Finding:
    """Something that does not hold, in one window or (without site and date) in none."""

    check: str
    site: str | None
    business_date: date | None
    message: str

    @property
    def place(self) -> str:
        return " ".join(str(part) for part in (self.site, self.business_date) if part is not None)
