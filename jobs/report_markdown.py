"""Reports in Markdown: a summary for chat and CI."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import polars as pl

from isopach.jobs.report_data import Report
from isopach.jobs.report_sites import HELD, MISSING
from isopach.jobs.report_trends import Trends

MOST_ROWS = 25
LONGEST = 300
SIGNS = re.compile(r"[\\`*_\[\]<>|~&$#]")
MARKS = {"published": "✅", "held": "⚠️", "failed": "❌", "running": "⏳"}


def run_markdown(report: Report) -> str:
    """Return the summary of a run."""
    run, figures = report.run, report.figures
    waiting = report.sites.filter(pl.col("state").is_in([HELD, MISSING]))
    failed = report.gates.filter(outcome="failed")
    numbers = {
        "sites settled": f"{figures.published:,} of {figures.sites:,}",
        "held": figures.held,
        "missing": figures.missing,
        "rows read": figures.read,
        "accepted": figures.accepted,
        "rejected": figures.rejected,
        "late": figures.late,
        "duplicate": figures.duplicate,
        "windows compared": figures.compared,
        "records that differ": figures.differences,
        "seconds": None if figures.seconds is None else f"{figures.seconds:.1f}",
    }
    return _joined(
        f"## {MARKS[report.headline.verdict]} {text(run.feed)} {report.day}: "
        f"{report.headline.title}",
        text(report.headline.sentence),
        _table(["figure", "value"], numbers.items()),
        _section("Held or missing", waiting, ["site", "name", "state", "reason"]),
        _section(
            "Failed gates", failed, ["expectation", "severity", "observed", "failed", "windows"]
        ),
        _section("Differences by cause", report.causes, ["cause", "kind", "records", "sites"]),
        f"Run {text(run.run)}",
    )


def trends_markdown(trends: Trends) -> str:
    """Return the summary of a feed's last business dates."""
    kinds = ["settled", "held", "missing", "read", "accepted", "differences"]
    failed = trends.gates.filter(pl.col("passed") < pl.col("looked"))
    causes = trends.causes.group_by(cause="kind").agg(records=pl.col("count").sum())
    return _joined(
        f"## {MARKS[trends.headline.verdict]} {text(trends.feed)} {trends.first} to "
        f"{trends.last}: {trends.headline.title}",
        text(trends.headline.sentence),
        _section("Nights", trends.nights.reverse(), ["business_date", *kinds]),
        _section(
            "Sites that need a look",
            trends.sites,
            ["site", "held", "missing", "differences", "last_reason"],
        ),
        _section("Gates that failed", failed, ["expectation", "severity", "passed", "looked"]),
        _section(
            "Differences by cause",
            causes.filter(pl.col("records") > 0).sort("records", "cause", descending=[True, False]),
            ["cause", "records"],
        ),
    )


def text(value: object) -> str:
    """Write a value in one line of Markdown in which no sign has a meaning."""
    if value is None:
        return ""
    said = f"{value:,}" if isinstance(value, int) else str(value)
    line = " ".join(said.split())
    short = line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
    return SIGNS.sub(r"\\\g<0>", short)


def _section(title: str, rows: pl.DataFrame, columns: Sequence[str]) -> str:
    """Return a titled table of some columns; nothing where there is no row."""
    if rows.is_empty():
        return ""
    heads = [name.replace("_", " ") for name in columns]
    more = rows.height - MOST_ROWS
    rest = f"\n\n… and {more:,} more" if more > 0 else ""
    shown = rows.select(columns).head(MOST_ROWS).iter_rows()
    return f"### {title}\n\n{_table(heads, shown)}{rest}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *([text(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _joined(*parts: str) -> str:
    return "\n\n".join(filter(None, parts)) + "\n"
