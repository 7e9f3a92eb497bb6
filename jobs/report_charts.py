"""Charts of reports: Altair drawn to static SVG, with the same figures for a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any
from xml.etree import ElementTree

import altair as alt
import polars as pl
import vl_convert

from isopach.jobs.report_history import SHARES, phases_of

WIDTH, HEIGHT = 400, 200
INK, LINE, PAPER = "#1c2126", "#dcdfda", "#fffffe"
SERIES = ("#2563a8", "#b4531a", "#3b7a4b", "#7a4fa3", "#67707a", "#9a7b0a")
"""Each colour stands for one of the page's, which differ between light and dark."""
DASHES, SHAPES = ([1, 0], [4, 3]), ("circle", "square")
SVG = "http://www.w3.org/2000/svg"
Colours = Mapping[str, str]
STREAM_AND_BATCH = ("batch", "stream")


@dataclass(frozen=True)
class Chart:
    """A drawing, what it shows in a sentence, and the figures in it (headed by their columns)."""

    title: str
    summary: str
    svg: str
    rows: pl.DataFrame


def share_charts(shares: pl.DataFrame) -> list[Chart]:
    """Draw which share of the rows read was late, duplicate or rejected, date by date."""
    return [] if shares.is_empty() else [_share(shares, name) for name in reversed(SHARES)]


def _share(shares: pl.DataFrame, name: str) -> Chart:
    share = pl.col(name) / pl.col("read")
    rows = shares.select(date=_day(), mode="mode", share=share)
    marks = alt.Chart(rows)
    line = marks.mark_line(strokeWidth=1.75).encode(strokeDash=_of_mode(alt.StrokeDash, DASHES))
    points = marks.mark_point(filled=True, size=42, opacity=1)
    both = (line + points.encode(shape=_of_mode(alt.Shape, SHAPES))).encode(
        x=_days(rows),
        y=alt.Y(
            "share:Q",
            title=None,
            axis=alt.Axis(format=_percent(rows), tickCount=4),
            scale=alt.Scale(zero=True),
        ),
        color=_of_mode(alt.Color, SERIES[:2]),
    )
    last = rows.group_by("mode", maintain_order=True).tail(1).select("mode", "share")
    newest = [f"{mode} {value:.2%}" for mode, value in last.sort("mode").iter_rows()]
    title = f"{name.capitalize()} rows"
    summary = f"{title} as a share of rows read, by business date; newest: {', '.join(newest)}"
    percent = (share * 100).alias("% of rows read")
    figures = shares.select("business_date", "mode", "read", name, percent)
    return Chart(title, summary, drawn(both, summary), figures)


def run_chart(times: pl.DataFrame) -> list[Chart]:
    """Draw how long runs took, phase by phase."""
    if times.is_empty():
        return []
    again = pl.col("run").cum_count().over("business_date")
    label = pl.when(again == 1).then(_day()).otherwise(pl.format("{} ({})", _day(), again))
    named = times.with_columns(date=label)
    rows = (
        phases_of(times)
        .join(named.select("run", "date"), on="run")
        .select("run", "date", "phase", "seconds")
    )
    names = rows["phase"].unique(maintain_order=True).to_list()
    paint = {name: SERIES[number % len(SERIES)] for number, name in enumerate(names)}
    bars = _stacked(rows, "phase", "seconds", paint)
    last = times.row(-1, named=True)
    summary = (
        f"Seconds per night by phase, last {times.height} nights; the newest took "
        f"{last['seconds']:.1f} seconds, the median is {median(times['seconds']):.1f}"
    )
    figures = rows.pivot("phase", index=["run", "date"], values="seconds").drop("date")
    dated = times.select("run", "business_date", "outcome", pl.col("seconds").round(1))
    return [
        Chart("Seconds per night", summary, drawn(bars, summary), dated.join(figures, on="run"))
    ]


def bar_chart(rows: pl.DataFrame, title: str, summary: str, colours: Colours) -> list[Chart]:
    """Draw stacked bars of `business_date, kind, count`.

    Args:
        colours: by kind, the lowest in the stack first; other kinds follow by name.
    """
    if rows.is_empty():
        return []
    shown = rows.select(date=_day(), kind="kind", count="count")
    found = rows["kind"].unique().sort().to_list()
    order = [kind for kind in colours if kind in found]
    order += [kind for kind in found if kind not in colours]
    paint = [colours.get(kind, SERIES[number % len(SERIES)]) for number, kind in enumerate(order)]
    drawing = _stacked(shown, "kind", "count", dict(zip(order, paint, strict=True)))
    figures = rows.pivot("kind", index="business_date", values="count").fill_null(0)
    return [Chart(title, summary, drawn(drawing, summary), figures)]


def _stacked(rows: pl.DataFrame, kind: str, value: str, colours: Colours) -> alt.Chart:
    """Return stacked bars by date, in the order of the colours."""
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    ranks = {name: rank for rank, name in enumerate(colours)}
    ranked = rows.with_columns(rank=pl.col(kind).replace_strict(ranks, return_dtype=pl.Int64))
    bars = alt.Chart(ranked).mark_bar(stroke=PAPER, strokeWidth=0.5, size=_bar(rows))
    return bars.encode(
        x=_days(rows),
        y=alt.Y(f"{value}:Q", title=None, axis=alt.Axis(tickCount=4, format="~s")),
        color=alt.Color(f"{kind}:N", scale=scale, legend=_legend()),
        order=alt.Order("rank:Q"),
    )


def drawn(chart: alt.Chart | alt.LayerChart, label: str) -> str:
    """Return a chart as an SVG image with a label, whose size its surroundings decide."""
    fit = alt.AutoSizeParams(type="fit", contains="padding")
    sized = chart.properties(width=WIDTH, height=HEIGHT, background="transparent", autosize=fit)
    spec = sized.to_dict()
    root = ElementTree.fromstring(vl_convert.vegalite_to_svg({**spec, "config": CONFIG}))
    for name in ("width", "height", "class"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    for part in root.iter():
        for name in [name for name in part.attrib if name.startswith("aria-role")]:
            del part.attrib[name]
        if part is not root:
            part.attrib.pop("role", None)
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _day() -> pl.Expr:
    day = pl.col("business_date")
    return pl.format("{} {}", day.dt.day(), day.dt.strftime("%b"))


def _days(rows: pl.DataFrame) -> alt.X:
    order = rows["date"].unique(maintain_order=True).to_list()
    axis = alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=8)
    return alt.X("date:O", title=None, sort=order, axis=axis)


def _percent(rows: pl.DataFrame) -> str:
    """Return a format with as many decimals as tell the ticks apart."""
    most = rows["share"].max()
    share = most if isinstance(most, float) else 0.0
    return f".{sum(share < edge for edge in (0.04, 0.004, 0.0004))}%"


def _bar(rows: pl.DataFrame) -> float:
    return min(30.0, 0.7 * WIDTH / rows["date"].n_unique())


def _legend() -> alt.Legend:
    return alt.Legend(orient="top", title=None, columns=5, symbolStrokeWidth=0)


def _of_mode(channel: type[Any], values: Sequence[Any]) -> Any:
    """Tell batch and stream apart; the same scale for each channel makes one legend."""
    scale = alt.Scale(domain=list(STREAM_AND_BATCH), range=list(values))
    return channel("mode:N", scale=scale, legend=_legend())


_TEXT: Mapping[str, Any] = {"labelColor": INK, "labelFontSize": 13}
CONFIG: Mapping[str, Any] = {
    "aria": False,
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {**_TEXT, "gridColor": LINE, "domainColor": LINE, "tickColor": LINE},
    "axisX": {"grid": False},
    "axisY": {"domain": False, "ticks": False},
    "legend": {**_TEXT, "symbolSize": 70, "padding": 0, "offset": 8},
}
