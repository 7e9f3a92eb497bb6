"""Check suites: what Great Expectations, and the compiler of row rules, say of their arguments."""

from __future__ import annotations

from collections.abc import Iterator

from isopach.expectations.compiling import compiled
from isopach.expectations.gx import great_expectations
from isopach.expectations.rules import suite_schema
from isopach.feeds.errors import DeclarationError, Fault
from isopach.feeds.feed import Feed
from isopach.feeds.load import Declaration
from isopach.feeds.suites import Expectation, Suite


def check_suites(declaration: Declaration) -> None:
    """Raise DeclarationError for expectations that nothing could be held against.

    Their names and columns were checked when the feed was loaded; this takes the library.
    """
    feed = declaration.feed
    faults = [
        Fault(str(declaration.path), None, field, problem)
        for field in ("suite", "counts_suite")
        if (suite := getattr(feed, field))
        for problem in _problems(suite, feed if field == "suite" else None)
    ]
    if faults:
        raise DeclarationError(faults)


def _problems(suite: Suite, feed: Feed | None) -> Iterator[str]:
    for number, one in enumerate(suite.expectations):
        problem = _refused(one) or (_uncompilable(one, feed) if feed else None)
        if problem:
            yield f"suite {suite.name}: expectations[{number}] {one.label}: {problem}"


def _refused(one: Expectation) -> str | None:
    """Return what the library says of an expectation that it does not take."""
    config = {"type": one.type, "kwargs": one.kwargs, "severity": one.severity}
    try:
        great_expectations().ExpectationSuite(name="check", expectations=[config])
    except Exception as error:  # of several kinds, by what is wrong
        lines = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        return ": ".join(line for line in lines if line != "__root__")
    return None


def _uncompilable(one: Expectation, feed: Feed) -> str | None:
    """Return what the compiler says of arguments that no value could be held against."""
    try:
        compiled(one, suite_schema(feed))
    except ValueError as error:
        return str(error)
    return None
