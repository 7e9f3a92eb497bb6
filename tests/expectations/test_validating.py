"""What Great Expectations finds, also from many threads at once, and what it imports for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from isopach.expectations.frames import to_pandas
from isopach.expectations.validating import Found
from isopach.expectations.validating import validate as validated
from isopach.feeds.suites import Expectation

THREADS = 32


def validate(
    rows: pl.DataFrame, asked: dict[str, Expectation], with_rows: bool = False
) -> dict[str, Found]:
    return validated(to_pandas(rows), asked, rows.to_arrow().schema, with_rows)


def between(column: str = "n", **kwargs: float) -> Expectation:
    kind = "expect_column_values_to_be_between"
    return Expectation(type=kind, kwargs={"column": column, **kwargs})


def test_threads_that_validate_at_once_each_find_their_own() -> None:
    ready = threading.Barrier(THREADS)

    def look(number: int) -> list[tuple[int | None, int | None, str | None, list[int]]]:
        rows = pl.DataFrame({"n": [*range(number), *([1000] * (number + 1))]})
        mean = Expectation(
            type="expect_column_mean_to_be_between", kwargs={"column": "n", "max_value": 5}
        )
        ready.wait()
        found = []
        for _ in range(3):
            both = validate(rows, {"b": between(max_value=500), "m": mean}, True)
            one = both["b"]
            found.append((one.unexpected, one.evaluated, both["m"].observed, one.rows.tolist()))
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(look, range(THREADS)))
    for number, found in enumerate(results):
        mean = (sum(range(number)) + 1000 * (number + 1)) / (2 * number + 1)
        bad = list(range(number, 2 * number + 1))
        (once,) = {repr(one) for one in found}
        assert once == repr((number + 1, 2 * number + 1, repr(mean), bad))


def test_rows_are_named_beyond_two_hundred() -> None:
    rows = pl.DataFrame({"n": [1] * 1000})
    found = validate(rows, {"b": between(max_value=0)}, with_rows=True)["b"]
    assert (found.unexpected, found.rows.tolist()) == (1000, list(range(1000)))


@pytest.mark.parametrize("expectation", [between("typo", min_value=1), between("t", min_value=3)])
def test_what_cannot_be_looked_at_is_an_error(expectation: Expectation) -> None:
    rows = pl.DataFrame({"n": [1, 2], "t": ["a", "b"]})
    found = validate(rows, {"b": expectation, "fine": between(max_value=5)})
    assert not found["b"].success
    assert found["b"].error
    assert found["fine"].success


def test_results_that_come_back_in_another_order_are_told_apart() -> None:
    rows = pl.DataFrame({"n": [1, 2], "m": [5, 6]})
    asked = {str(n): between(c, max_value=n) for n in range(4) for c in (("m", "n")[n % 2],)}
    found = validate(rows, asked)
    assert {label: one.unexpected for label, one in found.items()} == {
        "0": 2,
        "1": 1,
        "2": 2,
        "3": 0,
    }


PROGRAM = """
import sys
import polars as pl
from isopach.expectations.frames import to_pandas
from isopach.expectations.gx import SELDOM
from isopach.expectations.validating import validate
from isopach.feeds.suites import Expectation

rows = pl.DataFrame({"n": ["a", "b", "a"]})
shares = {"values": ["a", "b"], "weights": [0.6, 0.4]}
for kind, more in (
    ("expect_column_values_to_not_be_null", {}),
    ("expect_column_kl_divergence_to_be_less_than", {"partition_object": shares, "threshold": 0.1}),
):
    asked = {"one": Expectation(type=kind, kwargs={"column": "n", **more})}
    found = validate(to_pandas(rows), asked, rows.to_arrow().schema)["one"]
    print(found.success, *(name for name in SELDOM if name in sys.modules))
"""


def test_what_few_expectations_need_is_imported_by_them() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True", "True scipy.stats"]
