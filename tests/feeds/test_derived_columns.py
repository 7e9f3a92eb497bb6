from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from declaring import changed, faults, load, write
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.feeds.columns import derived

ROWS = pl.DataFrame(
    schema={
        "q": pl.Int32,
        "n": pl.Int64,
        "p": pl.Decimal(10, 2),
        "f": pl.Float64,
        "s": pl.String,
        "b": pl.Boolean,
        "d": pl.Date,
        "t": pl.Datetime("us", "UTC"),
    }
)
OTHER_ROWS = [
    "sum(q)",
    "q - avg(q)",
    "max(s)",
    "count(*)",
    "count(distinct s)",
    "first(s)",
    "median(f)",
    "stddev(f)",
    "quantile_cont(f, 0.5)",
    "corr(q, f)",
    "string_agg(s, ',')",
    "sum(q) over (partition by s)",
    "row_number() over (order by t)",
    "row_number() over ()",
    "rank() over (order by q)",
    "lag(q) over (order by t)",
    "first_value(q) over (order by t)",
    "case when q > avg(q) then 1 else 0 end",
    "coalesce(q, max(q))",
    "upper(min(s))",
    "unnest(string_to_array(s, ','))",
    "(select 1)",
    "q in (select 1)",
    "exists (select 1)",
    "columns('.*')",
]
OWN_ROW = {
    "q * p": pl.Decimal(38, 2),
    "q + 1": pl.Int32(),
    "-n": pl.Int64(),
    "q / 2": pl.Float64(),
    "q % 2": pl.Int32(),
    "round(f, 2)": pl.Float64(),
    "abs(q)": pl.Int32(),
    "sqrt(f) + ln(f) + pow(f, 2) + sin(f)": pl.Float64(),
    "greatest(q, 3)": pl.Int32(),
    "coalesce(q, 0)": pl.Int32(),
    "nullif(q, 0)": pl.Int32(),
    "case when b then q else null end": pl.Int32(),
    "case s when 'a' then 1 else 2 end": pl.Int32(),
    "q between 1 and 3 and s like 'a%' or not b": pl.Boolean(),
    "q in (1, 2) or s not in ('a', 'b')": pl.Boolean(),
    "s is null": pl.Boolean(),
    "upper(trim(s)) || '-' || left(s, 2)": pl.String(),
    "split_part(s, '-', 1)": pl.String(),
    "replace(s, 'a', 'b')": pl.String(),
    "length(s)": pl.Int64(),
    "strpos(s, 'a')": pl.Int64(),
    "extract(hour from t)": pl.Int32(),
    "strftime(t, '%Y-%m')": pl.String(),
    "cast(t as date)": pl.Date(),
    "t + interval '1 day'": pl.Datetime("us", "UTC"),
    "try_cast(s as bigint)": pl.Int64(),
    "cast(q as float)": pl.Float64(),
    "'fixed'": pl.String(),
    "date '2026-03-08'": pl.Date(),
}


@pytest.mark.parametrize("sql", OTHER_ROWS)
def test_sql_that_looks_at_other_rows_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="is not computed row by row"):
        derived("x", sql, ROWS)


@pytest.mark.parametrize("sql", OWN_ROW)
def test_sql_over_a_row_gives_a_type_that_is_stored(sql: str) -> None:
    expression = derived("x", sql, ROWS)
    assert ROWS.select(expression).schema == {"x": OWN_ROW[sql]}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-9, 9) | st.none(), st.sampled_from(["a", "ab-c", "", None])),
        min_size=1,
        max_size=8,
    )
)
def test_derived_values_do_not_depend_on_the_batch(
    rows: list[tuple[int | None, str | None]],
) -> None:
    frame = ROWS.match_to_schema(ROWS.schema).clear()
    frame = pl.DataFrame(rows, schema={"q": pl.Int32, "s": pl.String}, orient="row")
    own = {sql for sql in OWN_ROW if not {"n", "p", "f", "b", "t"} & roots(sql)}
    assert len(own) > 10
    together = frame.with_columns(derived(f"x{i}", sql, ROWS) for i, sql in enumerate(sorted(own)))
    alone = [
        row.with_columns(derived(f"x{i}", sql, ROWS) for i, sql in enumerate(sorted(own)))
        for row in frame.iter_slices(1)
    ]
    assert together.equals(pl.concat(alone))


def roots(sql: str) -> set[str]:
    return set(pl.sql_expr(sql).meta.root_names())


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("count *", "'count *': unable to parse 'count *' as Expr"),
        ("count * * price", "'count * * price': unable to parse 'count * * price' as Expr"),
        (
            "count * cost",
            "'count * cost' names cost; columns: id, store, at, day, sku, count, price, paid",
        ),
        (
            "total + 1",
            "'total + 1' names total; columns: id, store, at, day, sku, count, price, paid",
        ),
        ("foo(count)", "'foo(count)': unsupported function 'foo'"),
        ("count, price", "'count, price': invalid expression (found unexpected token ',')"),
        (
            "sku * price",
            "'sku * price': arithmetic on dtypes str and decimal[10,2] is not allowed "
            "(lhs: column 'sku', rhs: column 'price'); try an explicit cast first",
        ),
        (
            "sum(price)",
            "'sum(price)' is not computed row by row (Agg.Count); "
            "a derived column may use the values of its own row alone",
        ),
        (
            "at - at",
            "'at - at' is a Duration(time_unit='us'); allowed: string, boolean, int32, int64, "
            "float64, date, timestamp, decimal(precision,scale) with scale <= precision <= 38",
        ),
    ],
)
def test_bad_sql_is_explained(tmp_path: Path, sql: str, expected: str) -> None:
    path = write(tmp_path, changed("total: count * price", f"total: {sql}"))
    assert faults(path) == [f"till.yaml:12: derive.total: {expected}"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("site", "'site' is a name the lake itself uses; call it otherwise"),
        ("Sku", "'Sku' is there already, as columns.sku"),
        ("_mode", "'_mode': String should match pattern '^[A-Za-z][A-Za-z0-9_]{0,126}$'"),
    ],
)
def test_bad_name_is_explained(tmp_path: Path, name: str, expected: str) -> None:
    path = write(tmp_path, changed("  total: count", f"  total: count\n  {name}: count"))
    assert faults(path) == [f"till.yaml:13: derive.{name}: {expected}"]


def test_later_columns_use_earlier_ones(tmp_path: Path) -> None:
    feed = load(
        tmp_path,
        "  total: count * price",
        "  total: count * price\n  half: total / 2\n  label: upper(sku) || length(sku)",
    )
    rows = pl.DataFrame(
        {"count": [2, None], "price": ["1.50", "3"], "sku": ["ab", "c"]},
        schema_overrides={"count": pl.Int32},
    ).with_columns(pl.col("price").cast(pl.Decimal(10, 2)))
    for expression in feed.derivations:
        rows = rows.with_columns(expression)
    assert rows["half"].cast(pl.Float64).to_list() == [1.5, None]
    assert rows["label"].to_list() == ["AB2", "C1"]
    assert feed.payload.names[-3:] == ["total", "half", "label"]
    assert feed.payload.field("label").type == pa.large_string()
    assert set(feed.inputs) == {"store", "count", "price", "sku"}


def test_payload_is_the_same_whenever_it_is_asked_for(tmp_path: Path) -> None:
    first = load(tmp_path, "count * price", "length(sku)").payload
    assert first.field("total").type == pa.int64()
    assert load(tmp_path, "count * price", "length(sku)").payload == first
