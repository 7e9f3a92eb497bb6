"""The expectations that Great Expectations has built in, and what each is given."""

from __future__ import annotations

import json
from pathlib import Path

from isopach.feeds.suites import KINDS

OURS = {
    "batch_id",
    "catch_exceptions",
    "description",
    "id",
    "library_metadata",
    "meta",
    "notes",
    "rendered_content",
    "result_format",
    "severity",
    "windows",
}
"""Fields of an expectation beside those that say what is expected."""


def write_kinds(path: Path = KINDS) -> None:
    """Write down the built-in expectations of the installed version, for `feeds.suites`.

    Loading a suite then needs no import of Great Expectations, which takes seconds.
    """
    from isopach.expectations.gx import registered

    kinds = {
        name: {
            "rows": bool(getattr(kind, "map_metric", None)),
            "required": sorted(n for n, field in kind.__fields__.items() if field.required),
            "kwargs": sorted(set(kind.__fields__) - OURS),
        }
        for name, kind in sorted(registered().items())
    }
    path.write_text(json.dumps(kinds, indent=1) + "\n")
