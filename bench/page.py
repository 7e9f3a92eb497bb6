"""The page of results, `bench/RESULTS.md`: a section each for nights, those on Spark, streams."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

RESULTS = Path(__file__).with_name("RESULTS.md")
TITLE = "# Results"
Heading = Literal["Nights", "Nights on Spark", "Streams"]


def write_section(page: Path, heading: Heading, text: str) -> None:
    """Write a section of the page; the others stay as they are."""
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    kept = sections(old) | {heading: text}
    parts = [TITLE, *(f"## {name}\n\n{kept[name]}" for name in sorted(kept))]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def sections(page: str) -> dict[str, str]:
    """Return a page's sections by their headings."""
    _, *parts = re.split(r"^## ", page, flags=re.MULTILINE)
    return {name: text.strip() for name, _, text in (part.partition("\n") for part in parts)}
