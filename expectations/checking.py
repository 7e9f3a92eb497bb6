"""Check suites: what Great Expectations, and the compiler of row rules, say of their arguments."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from isopach.expectations.compiling import compiled
from isopach.expectations.gx import great_expectations
from isopach.expectations.limits import cannot_evaluate
from isopach.expectations.rules import counts_schema, suite_schema
from isopach.feeds.errors import DeclarationError, Fault
from isopach.feeds.load import Declaration
from isopach.feeds.suites import Expectation, Suite


def check_suites(declaration: Declaration) -> None:
    """Raise DeclarationError for expectations that nothing could be held against.

    Their names and columns were checked when the feed was loaded; this takes the library.
    """
    feed = declaration.feed
    faults = [
        Fault(str(declaration.path), None, field, problem)
        for field, schema in (("suite", suite_schema(feed)), ("counts_suite", counts_schema()))
        if (suite := getattr(feed, field))
        for problem in _problems(suite, schema)
    ]
    if faults:
        raise DeclarationError(faults)


def _problems(suite: Suite, schema: pa.Schema) -> Iterator[str]:
    for number, one in enumerate(suite.expectations):
        problem = _refused(one) or _uncompilable(one, schema) or cannot_evaluate(one, schema)
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


def _uncompilable(one: Expectation, schema: pa.Schema) -> str | None:
    """Return what the compiler says of arguments that no value could be held against."""
    try:
        compiled(one, schema)
    except ValueError as error:
        return str(error)
    return None
