"""What is written of a report: a page, Markdown, or a document for other programs."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from isopach.jobs.report_data import Report
from isopach.jobs.report_markdown import run_markdown, trends_markdown
from isopach.jobs.report_sites import SETTLED
from isopach.jobs.report_trends import Trends


class MissingExtraError(OSError):
    """A package that pages are made with and that is not installed."""


def page_of(found: Report | Trends) -> str:
    """Return the page of a report; raises MissingExtraError."""
    try:
        from isopach.jobs.report_page import run_page, trends_page
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the page needs {error.name}, which is not installed: pip install 'isopach[report]'"
        ) from error
    return run_page(found) if isinstance(found, Report) else trends_page(found)


def markdown_of(found: Report | Trends) -> str:
    """Return the summary of a report."""
    return run_markdown(found) if isinstance(found, Report) else trends_markdown(found)


def stem_of(found: Report | Trends) -> str:
    """Return how the file of a report is called where nobody says."""
    if isinstance(found, Trends):
        return f"{found.feed}-{found.days}d"
    return re.sub(r"[^\w.-]", "_", f"{found.run.feed}-{found.day}-{found.run.run}")


def document_of(found: Report | Trends) -> dict[str, Any]:
    """Return a report for other programs."""
    said = {
        "verdict": found.headline.verdict,
        "title": found.headline.title,
        "headline": found.headline.sentence,
        "causes": found.causes.to_dicts(),
    }
    if isinstance(found, Trends):
        span = {"feed": found.feed, "first": found.first, "last": found.last}
        frames = {"nights": found.nights, "sites": found.sites, "gates": found.gates}
        return {**span, **said, **{name: frame.to_dicts() for name, frame in frames.items()}}
    return {
        "feed": found.run.feed,
        "run": found.run.run,
        "date": found.day,
        **said,
        "figures": asdict(found.figures),
        "sites": found.sites.filter(pl.col("state") != SETTLED).to_dicts(),
        "failed_gates": found.gates.filter(outcome="failed").drop("trend").to_dicts(),
    }


def write_file(path: Path, text: str) -> None:
    """Write a report; raises OSError that says what to do."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OSError(
            f"{path}: cannot be written: {error.strerror or error}; choose another with --to"
        ) from error
