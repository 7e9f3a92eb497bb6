"""Results as people read them: on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from bench.result import Race, Result

OURS = "isopach"
HEADINGS = ("peer", "seconds", f"x {OURS}", "rows/s", "peak MB", "private MB", "equal")


def cells(race: Race, result: Result) -> tuple[str, ...]:
    """Return a peer's line: seconds, ratio to ours, rows a second, memory, equality."""
    ratio = race.ratio(result.name, OURS)
    return (
        label(result),
        f"{result.seconds:.2f}",
        "-" if ratio is None else f"{ratio:.2f}",
        f"{race.rows / result.seconds:,.0f}",
        f"{result.peak_mb:,.0f}",
        f"{result.private_mb:,.0f}",
        "yes" if result.equal else "NO",
    )


def label(result: Result) -> str:
    """Return a peer's name, marked if its seconds are extrapolated."""
    return result.name if result.share == 1 else f"{result.name} (x{result.share:g})"


def title(race: Race) -> str:
    """Return the heading of a race."""
    return f"{race.rows:,} rows, {race.shape}"


def terminal(race: Race) -> Table:
    """Return the results for the terminal."""
    table = Table(title=title(race), caption=caption(race), caption_justify="left")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number else "left")
    for result in race.results:
        style = None if result.equal else "red"
        table.add_row(*cells(race, result), style=style)
    return table


def caption(race: Race) -> str | None:
    """Say which results are extrapolated, and how."""
    scaled = [result for result in race.results if result.share != 1]
    if not scaled:
        return None
    return "; ".join(
        f"{result.name} was given 1/{result.share:g} of the rows: its start-up is counted once, "
        f"its other seconds times {result.share:g}, its memory as it was"
        for result in scaled
    )


def markdown(race: Race) -> str:
    """Return the results as a section of Markdown."""
    rows = (cells(race, result) for result in race.results)
    parts = [f"### {title(race)}", grid(HEADINGS, rows)]
    parts += [f"{text}." for text in [caption(race)] if text]
    parts += [f"{r.name} failed: `{' '.join(r.error.split())}`" for r in race.results if r.error]
    return "\n\n".join(parts)


def grid(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, all columns but the first to the right."""
    rule = [":--", *["--:"] * (len(headings) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (headings, rule, *rows))
