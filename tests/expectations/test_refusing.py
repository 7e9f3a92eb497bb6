from __future__ import annotations

import math
import pickle
import re
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from judging import SCHEMA

from isopach.expectations.compiling import compiled, why_not
from isopach.feeds.suites import Expectation

BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"
REGEX_TYPE = "expect_column_values_to_match_regex"
LENGTHS = "expect_column_value_lengths_to_be_between"
WRONG = [
    (BETWEEN, {"column": "whole", "min_value": "abc"}, "kwargs.min_value: 'abc' is not a finite"),
    (BETWEEN, {"column": "whole", "min_value": True}, "kwargs.min_value: True is not a finite"),
    (BETWEEN, {"column": "float", "max_value": math.inf}, "kwargs.max_value: inf is not a finite"),
    (BETWEEN, {"column": "whole", "min_value": 2**53 + 1}, "9007199254740993 is rounded"),
    (BETWEEN, {"column": "whole"}, "kwargs.min_value: None and max_value None"),
    (BETWEEN, {"column": "whole", "min_value": 2, "max_value": 1}, "2 is above max_value 1"),
    (BETWEEN, {"column": "whole", "min_value": 2, "strict_min": "no"}, "strict_min: 'no' is not"),
    (BETWEEN, {"column": "text", "min_value": 1}, "'text' is large_string"),
    (BETWEEN, {"column": "day", "min_value": "2026-02-30"}, "'2026-02-30' is not date"),
    (BETWEEN, {"column": "day", "min_value": "20260201"}, "'20260201' is not date"),
    (
        BETWEEN,
        {"column": "at", "min_value": "2026-02-01"},
        "'2026-02-01' is not timestamp with its",
    ),
    (BETWEEN, {"column": "at", "min_value": "2026-02-01T00:00:00"}, "is not timestamp with its"),
    (IN_SET, {"column": "whole", "value_set": ["1"]}, "kwargs.value_set: '1' is not integer"),
    (IN_SET, {"column": "whole", "value_set": [1.5]}, "kwargs.value_set: 1.5 is not integer"),
    (IN_SET, {"column": "whole", "value_set": [2**63]}, "kwargs.value_set: 9223372036854775808 is"),
    (IN_SET, {"column": "text", "value_set": [1]}, "kwargs.value_set: 1 is not text"),
    (IN_SET, {"column": "text", "value_set": ["\ud800"]}, "is not text"),
    (IN_SET, {"column": "flag", "value_set": [1]}, "kwargs.value_set: 1 is not boolean"),
    (IN_SET, {"column": "text", "value_set": []}, "kwargs.value_set: [] is not a list of one"),
    (IN_SET, {"column": "text", "value_set": None}, "kwargs.value_set: None is not a list of one"),
    (REGEX_TYPE, {"column": "text", "regex": "("}, "kwargs.regex: '(' is not a regular expression"),
    (REGEX_TYPE, {"column": "text", "regex": 1}, "kwargs.regex: 1 is not a regular expression"),
    (REGEX_TYPE, {"column": "whole", "regex": "1"}, "'whole' is int64"),
    (REGEX_TYPE, {"column": "text", "regex": "(?:a{999}){999}"}, "that pandas takes"),
    (REGEX_TYPE, {"column": "text", "regex": "a++"}, "that pandas takes"),
    (REGEX_TYPE, {"column": "text", "regex": "(?x)a"}, "that pandas takes"),
    (REGEX_TYPE + "_list", {"column": "text", "regex_list": []}, "kwargs.regex_list: [] is not"),
    (
        REGEX_TYPE + "_list",
        {"column": "text", "regex_list": ["a"], "match_on": "some"},
        "kwargs.match_on: 'some' is not one of any, all",
    ),
    (LENGTHS, {"column": "text", "min_value": 1.5}, "kwargs.min_value: 1.5 is not a whole number"),
    (LENGTHS, {"column": "price", "min_value": 1}, "'price' is decimal128(10, 2)"),
    (
        "expect_column_values_to_match_like_pattern",
        {"column": "text", "like_pattern": "a%"},
        "is not evaluated on pandas",
    ),
    ("expect_column_values_to_be_json_parseable", {"column": "whole"}, "'whole' is int64"),
    (
        "expect_column_values_to_be_of_type",
        {"column": "whole", "type_": "int64"},
        "'whole' is int64",
    ),
    (
        "expect_column_pair_values_to_be_equal",
        {"column_A": "text", "column_B": "whole"},
        "types that do not compare: text large_string, whole int64",
    ),
    (
        "expect_column_pair_values_to_be_equal",
        {"column_A": "text", "column_B": "text2", "ignore_row_if": "never"},
        "kwargs.ignore_row_if: 'never' is not one of",
    ),
    (
        "expect_multicolumn_sum_to_equal",
        {"column_list": ["price", "cost"], "sum_total": 1},
        "has decimals, which Great Expectations adds as binary",
    ),
]
REFUSED = [
    (REGEX_TYPE, {"column": "text", "regex": r"(?=a)b"}, "not read alike"),
    (REGEX_TYPE, {"column": "text", "regex": r"(a)\1"}, "not read alike"),
    (REGEX_TYPE, {"column": "text", "regex": r"\ba\b"}, "not read alike"),
    (REGEX_TYPE, {"column": "text", "regex": "(?i)a"}, "not read alike"),
    (REGEX_TYPE, {"column": "text", "regex": "a{,3}"}, "not read alike"),
    (REGEX_TYPE, {"column": "text", "regex": "[[:alpha:]]"}, "not read alike"),
    (REGEX_TYPE, {"column": "text", "regex": "$a"}, "'$' is not at the end"),
    (REGEX_TYPE, {"column": "text", "regex": "(?:a$)*"}, "no exact equivalent"),
    (BETWEEN, {"column": "whole", "min_value": 1, "row_condition": "a > 1"}, "row_condition"),
    (
        "expect_column_pair_values_to_be_equal",
        {"column_A": "whole", "column_B": "float"},
        "compares int64 with floats",
    ),
    ("expect_column_values_to_be_unique", {"column": "whole"}, "looks at other rows"),
    ("expect_column_values_to_be_of_type", {"column": "text", "type_": "str"}, "column's type"),
    ("expect_table_row_count_to_equal", {"value": 1}, "is not about single rows"),
]


@pytest.mark.parametrize(("kind", "kwargs", "message"), WRONG)
def test_what_is_wrong_is_named(kind: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        compiled(Expectation(type=kind, kwargs=kwargs), SCHEMA)


@pytest.mark.parametrize(("kind", "kwargs", "reason"), REFUSED)
def test_what_could_differ_is_refused(kind: str, kwargs: dict[str, Any], reason: str) -> None:
    one = Expectation(type=kind, kwargs=kwargs)
    assert compiled(one, SCHEMA) is None
    assert reason in (why_not(one, SCHEMA) or "")


def test_masks_can_be_sent_to_workers() -> None:
    one = Expectation(type=REGEX_TYPE, kwargs={"column": "coded", "regex": r"^\d+$"})
    found = compiled(one, SCHEMA)
    assert found is not None
    failing = pickle.loads(pickle.dumps(found.failing))
    batch = pa.table({"coded": pa.array(["1", "a", None]).dictionary_encode()})
    for rows in (pl.from_arrow(batch), pl.DataFrame({"coded": ["1", "a", None]})):
        assert isinstance(rows, pl.DataFrame)
        assert rows.select(failing).to_series().to_list() == [False, True, False]
