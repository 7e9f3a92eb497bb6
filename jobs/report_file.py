"""The file of a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isopach.jobs.report_data import Report


class MissingExtraError(OSError):
    """A package that pages are made with and that is not installed."""


def page_of(report: Report) -> str:
    """Return the page of a report; raises MissingExtraError."""
    try:
        from isopach.jobs import report_page
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the page needs {error.name}, which is not installed: pip install 'isopach[report]'"
        ) from error
    return report_page.run_page(report)


def write_file(path: Path, text: str) -> None:
    """Write a report; raises OSError that says what to do."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OSError(
            f"{path}: cannot be written: {error.strerror or error}; choose another with --to"
        ) from error
