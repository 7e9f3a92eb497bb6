"""Great Expectations: imported late, as it takes seconds, and without a word to its makers."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

GROUPS = "This pattern is interpreted as a regular expression, and has match groups"
"""What pandas says of each regular expression with groups, which nobody asks it to return."""


def great_expectations() -> Any:
    """Return the library, which sends no usage statistics."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
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
