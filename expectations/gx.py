"""Great Expectations: imported late, as it takes seconds, and without a word to its makers."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

GROUPS = "This pattern is interpreted as a regular expression, and has match groups"
"""What pandas says of each regular expression with groups, which nobody asks it to return."""

SELDOM = ("scipy.stats", "altair", "boto3", "google.cloud.bigquery", "google.cloud.secretmanager")
"""What the library imports for few expectations, or for sources that nobody reads by it."""


@cache
def great_expectations() -> Any:
    """Return the library, which sends no usage statistics."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with _imported_when_used(SELDOM), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pyspark, where it is installed
        import great_expectations
        from great_expectations.execution_engine import pandas_execution_engine

    # A fingerprint of each table, that nobody asks for, takes longer than to look at it.
    pandas_execution_engine.HASH_THRESHOLD = 0
    warnings.filterwarnings("ignore", GROUPS)
    for name in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return great_expectations


def registered() -> dict[str, Any]:
    """Return the built-in expectation classes by name."""
    great_expectations()
    from great_expectations.expectations import core, registry

    return {
        name: registry.get_expectation_impl(name)
        for name in registry.list_registered_expectation_implementations()
        if registry.get_expectation_impl(name).__module__.startswith(core.__name__)
    }


class _WhenUsed(ModuleType):
    """Stands for a module until it is asked for a name."""

    def __getattr__(self, name: str) -> Any:
        _forget(self)
        return getattr(import_module(self.__name__), name)


@contextmanager
def _imported_when_used(names: Iterable[str]) -> Iterator[None]:
    """Let what is imported meanwhile import modules of these names only when it uses them."""
    stand_ins = [_WhenUsed(name) for name in names if name not in sys.modules]
    sys.modules.update({one.__name__: one for one in stand_ins})
    try:
        yield
    finally:
        for one in stand_ins:
            _forget(one)


def _forget(stand_in: ModuleType) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
