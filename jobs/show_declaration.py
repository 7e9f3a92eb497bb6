"""A declaration for people: columns, rules, expectations and totals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from isopach.expectations.compiling import why_not
from isopach.expectations.rules import row_rules, suite_rules, suite_schema
from isopach.feeds.columns import type_name
from isopach.feeds.feed import Feed
from isopach.feeds.load import Declaration


def declaration_data(declared: Declaration) -> dict[str, Any]:
    """Return what a declaration amounts to."""
    feed = declared.feed
    return {
        "feed": feed.feed,
        "file": str(declared.path),
        "columns": {f.name: type_name(f.type) for f in feed.payload},
        "key": list(feed.key),
        "rules": [{"reason": r.reason, "column": r.column} for r in row_rules(feed)],
        "expectations": list(_expectations(feed)),
        "totals": {name: list(total.measures) for name, total in feed.totals.items()},
        "sites": len(declared.sites),
        "time_zones": len({site.time_zone for site in declared.sites}),
    }


def declaration(console: Console, declared: Declaration) -> None:
    """Print what a declaration amounts to."""
    data = declaration_data(declared)
    table = Table(title=f"{data['feed']} ({data['file']})", title_justify="left")
    for name in ("column", "type", "required", "comes from"):
        table.add_column(name)
    feed = declared.feed
    for name, kind in data["columns"].items():
        column = feed.columns.get(name)
        origin = "the site" if column else feed.derive.get(name, "lookup")
        table.add_row(name, kind, "yes" if column and column.required else "", origin)
    console.print(table)
    console.print(f"sites: {data['sites']} in {data['time_zones']} time zones ({feed.sites})")
    console.print(f"one row per {', '.join(feed.key)}, by {feed.site} and business date")
    for name, total in feed.totals.items():
        console.print(f"totals_{name}: by {', '.join(total.by)}: {', '.join(total.measures)}")
    if data["expectations"]:
        suites = Table(title="expectations", title_justify="left")
        for name in ("expectation", "severity", "over", "looked at"):
            suites.add_column(name)
        for one in data["expectations"]:
            row = [one[name] for name in ("expectation", "severity", "grain", "looked_at")]
            suites.add_row(*map(escape, row))
        console.print(suites)


def _expectations(feed: Feed) -> Iterator[dict[str, str]]:
    """Yield each expectation of a feed's suites, and where it is looked at."""
    rules = {rule.label for _, rule in suite_rules(feed)}
    for field, suite in (("suite", feed.suite), ("counts_suite", feed.counts_suite)):
        for label, one in suite.named.items() if suite else ():
            looked_at = "each row, and the gate" if label in rules else "the gate"
            if field == "suite" and one.severity == "critical" and label not in rules:
                looked_at += f": {why_not(one, suite_schema(feed))}"
            yield {
                "suite": suite.name if suite else "",
                "expectation": label,
                "severity": one.severity,
                "grain": suite.grain(one) if suite else "",
                "looked_at": looked_at,
            }
