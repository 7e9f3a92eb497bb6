"""Row rules of a feed: those it declares itself, and its suite's critical expectations."""

from __future__ import annotations

import pyarrow as pa

from isopach.expectations.compiling import compiled
from isopach.feeds.feed import Feed
from isopach.feeds.rules import Rule, declared_rules
from isopach.feeds.suites import COUNTED, Expectation


def row_rules(feed: Feed) -> list[Rule]:
    """Return the rules by which rows go to quarantine."""
    return [*declared_rules(feed), *(rule for _, rule in suite_rules(feed))]


def suite_schema(feed: Feed) -> pa.Schema:
    """Return the columns that a suite may look at: an accepted row's, and its window."""
    window = pa.schema({"site": pa.large_string(), "business_date": pa.date32()})
    return pa.schema([*feed.payload, *window])


def counts_schema() -> pa.Schema:
    """Return the columns that a suite over counts may look at."""
    kinds = {"site": pa.large_string(), "business_date": pa.date32()}
    rates = dict.fromkeys((name for name in COUNTED if name.endswith("_rate")), pa.float64())
    return pa.schema({name: (kinds | rates).get(name, pa.int64()) for name in COUNTED})


def suite_rules(feed: Feed) -> list[tuple[Expectation, Rule]]:
    """Return the critical expectations of a feed's suite that are row rules too."""
    schema, found = suite_schema(feed), []
    for label, one in feed.suite.named.items() if feed.suite else ():
        exact = compiled(one, schema) if one.severity == "critical" else None
        if exact is not None:
            columns = ",".join(one.columns)
            reason = label.replace(f"({', '.join(one.columns)})", "")
            rule = Rule(reason, columns, exact.failing, label, exact.evaluated)
            found.append((one, rule))
    return found
