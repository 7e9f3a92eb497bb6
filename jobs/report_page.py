"""The page of a report: one HTML file without scripts and links to elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from isopach.jobs.report_charts import SERIES, Chart, bar_chart, run_chart, share_charts
from isopach.jobs.report_data import Report
from isopach.jobs.report_sites import PUBLISHED, SETTLED, STATES, regions
from isopach.jobs.report_trends import Trends

MOST_CELLS = 800
"""Sites that the map shows one by one; of more, those that are settled are only counted."""
MOST_ROWS = 500
STATE_COLOURS = {"settled": SERIES[2], "held": SERIES[1], "missing": SERIES[3]}
DASH = "\N{EN DASH}"
SYMBOLS = {
    "settled": "✓",
    "warned": "!",
    "held": "✕",
    "missing": "○",
    "not due yet": "…",
    "not asked for": DASH,
    "not judged": "?",
    "published": "✓",
    "failed": "✕",
    "running": "…",
    "passed": "✓",
    "provisional": "…",
    "critical": "●",
    "warning": "▲",
    "info": "i",
}


def run_page(report: Report) -> str:
    """Return the page of one run."""
    charts = [*share_charts(report.shares), *run_chart(report.times)]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            title=f"{report.run.feed} {report.day}",
            regions=[_region(report.sites, row) for row in _rows(regions(report.sites))],
            states={
                state: rows
                for state in STATES
                if (rows := report.sites.filter(state=state).height) or state == SETTLED
            },
            attention=report.sites.filter(
                ~pl.col("state").is_in([SETTLED]) & pl.col("reason").is_not_null()
            ),
            examples=_grouped(report.examples, ["cause"]),
            reason_examples=_grouped(report.reason_examples, ["disposition", "reason", "column"]),
            charts=[_drawn(chart) for chart in charts],
        )
    )


def trends_page(trends: Trends) -> str:
    """Return the page of a feed's last business dates."""
    read = trends.nights.select("business_date", kind=pl.lit("rows read"), count="read")
    charts = [
        *bar_chart(trends.states, "Windows", f"Windows: {trends.headline.sentence}", STATE_COLOURS),
        *bar_chart(read, "Rows read by nights", "Rows that nights read, by business date", {}),
        *share_charts(trends.shares),
        *bar_chart(trends.causes, "Records that differ", "Records that differ, by cause", {}),
        *run_chart(trends.times),
    ]
    template = _environment().get_template("trends.html.j2")
    return template.render(trends=trends, charts=[_drawn(chart) for chart in charts])


def _region(sites: pl.DataFrame, row: dict[str, Any]) -> dict[str, Any]:
    """Return a region with the sites that its part of the map shows."""
    mine = sites.filter(region=row["region"])
    shown = mine if sites.height <= MOST_CELLS else mine.filter(pl.col("state") != SETTLED)
    return {
        **row,
        "published": sum(row[state] for state in PUBLISHED),
        "cells": list(_rows(shown.head(MOST_CELLS))),
        "more": mine.height - min(shown.height, MOST_CELLS),
    }


def _grouped(rows: pl.DataFrame, by: list[str]) -> list[tuple[tuple[Any, ...], list[Any]]]:
    """Return rows, which are in order, by what they have in common."""
    found = groupby(rows.iter_rows(named=True), lambda row: tuple(row[name] for name in by))
    return [(key, list(group)) for key, group in found]


def _environment() -> Environment:
    """Return how pages are made: every value is escaped, and an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        n=number,
        share=share,
        said=said,
        at=at,
        long=long_date,
        short=short_date,
        rows=_rows,
        kwargs=kwargs,
        breakable=breakable,
    )
    environment.globals.update(symbols=SYMBOLS, most_rows=MOST_ROWS, series=SERIES)
    return environment


def _rows(frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    return frame.head(MOST_ROWS).iter_rows(named=True)


def _drawn(chart: Chart) -> dict[str, Any]:
    """Return a chart for the page; its drawing is as it is: elements with escaped text."""
    kinds = ["num" if kind.is_numeric() else "" for kind in chart.rows.dtypes]
    heads = [said(name) for name in chart.rows.columns]
    return {
        "title": chart.title,
        "svg": Markup(chart.svg),
        "heads": list(zip(heads, kinds, strict=True)),
        "cells": [
            [(_cell(value), kind) for value, kind in zip(row, kinds, strict=True)]
            for row in chart.rows.head(MOST_ROWS).iter_rows()
        ],
    }


def _cell(value: object) -> str:
    return number(value) if value is None or isinstance(value, int | float) else str(value)


def number(value: float | None) -> str:
    """Write a number with commas between thousands; a dash for none."""
    if value is None:
        return DASH
    short = isinstance(value, float) and abs(value) < 100
    return f"{value:.3g}" if short else f"{value:,.0f}"


def share(part: float, whole: float) -> str:
    """Write a part of a whole in percent, and none as such only where there is none."""
    if not whole:
        return DASH
    percent = 100 * part / whole
    return "0 %" if not part else "< 0.01 %" if percent < 0.01 else f"{percent:.3g} %"


def said(name: object) -> str:
    """Write a name of the ledger as words; a dash for none."""
    return DASH if name is None else str(name).replace("_", " ")


def breakable(name: str) -> Markup:
    """Write a long name so that it may be broken behind its underscores."""
    return escape(name).replace("_", Markup("_<wbr>"))


def at(value: datetime | None) -> str:
    """Write a UTC time to the second; a dash for none."""
    return DASH if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def long_date(day: date | None) -> str:
    """Write a date for people."""
    return DASH if day is None else f"{day:%A}, {day.day} {day:%B %Y}"


def short_date(day: date) -> str:
    """Write a date for people, without its weekday."""
    return f"{day.day} {day:%B %Y}"


def kwargs(text: str | None) -> str:
    """Write the arguments of an expectation, without those that its name has."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return str(text)
    return ", ".join(
        f"{name} {value}" for name, value in found.items() if not name.startswith("column")
    )
