from __future__ import annotations

from pathlib import Path

import pytest
from declaring import changed, faults, load, write

COLUMNS = "id, store, at, day, sku, count, price, paid, total"
TWICE = (
    "would stand twice in its table, beside site, business_date, groups and measures "
    "(a mean is kept as NAME_sum and NAME_count)"
)


@pytest.mark.parametrize(
    ("measure", "function", "column"),
    [
        ("visits: count", "count", None),
        ("price: count", "count", None),
        ("priced: {count: price}", "count", "price"),
        ("count: sum", "sum", "count"),
        ("most: {max: at}", "max", "at"),
        ("first: {min: sku}", "min", "sku"),
        ("usual: {mean: price}", "mean", "price"),
    ],
)
def test_measures_are_read(tmp_path: Path, measure: str, function: str, column: str | None) -> None:
    feed = load(tmp_path, "total: sum", measure)
    found = feed.totals["by_sku"].measures[measure.partition(":")[0]]
    assert (found.function, found.column) == (function, column)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (
            "total: add",
            ":21: totals.by_sku.measures.total.function: 'add': "
            "Input should be 'count', 'sum', 'min', 'max' or 'mean'",
        ),
        (
            "most: {top: at}",
            ":21: totals.by_sku.measures.most.function: 'top': "
            "Input should be 'count', 'sum', 'min', 'max' or 'mean'",
        ),
        (
            "most: [sum]",
            ":21: totals.by_sku.measures.most.function: ['sum']: "
            "Input should be 'count', 'sum', 'min', 'max' or 'mean'",
        ),
        (
            "most: {sum: 5}",
            ":21: totals.by_sku.measures.most.column: 5: Input should be a valid string",
        ),
        (
            "cost: sum",
            f":21: totals.by_sku.measures.cost: 'cost' is not a column; columns: {COLUMNS}",
        ),
        (
            "worst: {min: cost}",
            f":21: totals.by_sku.measures.worst: 'cost' is not a column; columns: {COLUMNS}",
        ),
        (
            "store: sum",
            ":21: totals.by_sku.measures.store: sum needs a number, and 'store' is a string",
        ),
        (
            "at: mean",
            ":21: totals.by_sku.measures.at: mean needs a number, and 'at' is a timestamp",
        ),
        (
            "paid: sum",
            ":21: totals.by_sku.measures.paid: sum needs a number, and 'paid' is a boolean",
        ),
        ("sku: min", f":17: totals.by_sku: 'sku' {TWICE}"),
        ("site: count", f":17: totals.by_sku: 'site' {TWICE}"),
        ("price: mean\n      price_sum: {sum: price}", f":17: totals.by_sku: 'price_sum' {TWICE}"),
        (
            "a b: count",
            ":21: totals.by_sku.measures.a b: 'a b': "
            "String should match pattern '^[A-Za-z][A-Za-z0-9_]{0,126}$'",
        ),
    ],
)
def test_bad_measure_is_explained(tmp_path: Path, measure: str, expected: str) -> None:
    assert faults(write(tmp_path, changed("total: sum", measure))) == [f"till.yaml{expected}"]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("sku", ":18: totals.by_sku.by: 'sku': must be a list, as in [a, b]"),
        ("[site]", f":18: totals.by_sku.by: 'site' is not a column; columns: {COLUMNS}"),
        ("[sku, sku]", f":17: totals.by_sku: 'sku' {TWICE}"),
    ],
)
def test_bad_group_is_explained(tmp_path: Path, by: str, expected: str) -> None:
    (found,) = faults(write(tmp_path, changed("by: [sku]", f"by: {by}")))
    assert found == f"till.yaml{expected}"


def test_total_without_measures_is_refused(tmp_path: Path) -> None:
    text = changed("      sales: count\n      total: sum\n", "      {}\n")
    assert faults(write(tmp_path, text)) == [
        "till.yaml:19: totals.by_sku.measures: must not be empty"
    ]


def test_name_of_a_total_is_one_for_a_folder(tmp_path: Path) -> None:
    assert faults(write(tmp_path, changed("  by_sku:", "  By-SKU:"))) == [
        "till.yaml:17: totals.By-SKU: 'By-SKU': String should match pattern "
        "'^[a-z][a-z0-9_]{0,62}$'"
    ]
