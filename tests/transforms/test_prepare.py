from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import apache_beam as beam
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.feeds.feed import Feed
from isopach.feeds.rules import Rule, declared_rules
from isopach.feeds.sites import Site, Sites
from isopach.transforms.batches import frame, repeated
from isopach.transforms.checksum import row_hashes
from isopach.transforms.counts import Tally
from isopach.transforms.prepare import Arrival, Outcome, Prepare, prepare
from isopach.transforms.quarantine import SCHEMA

DAY = date(2026, 3, 8)
SITES = Sites(
    {
        name: Site(site=name, name=name, time_zone=zone, deadline=time(2))
        for name, zone in {"A": "Asia/Kathmandu", "B": "America/New_York"}.items()
    }
)
DECLARED: dict[str, Any] = {
    "feed": "till",
    "columns": {
        "id": {"type": "string", "required": True},
        "store": {"type": "string", "required": True},
        "at": {"type": "timestamp", "required": True},
        "count": "int32",
        "price": "decimal(10,2)",
    },
    "derive": {"total": "count * price"},
    "site": "store",
    "key": ["id"],
    "event_time": "at",
}
GOOD: dict[str, Any] = {
    "id": "x",
    "store": "A",
    "at": "2026-03-08T06:15:00Z",  # noon
    "count": "2",
    "price": "1.50",
}


def feed(**changes: Any) -> Feed:
    return Feed.model_validate(DECLARED | changes)


def run(*rows: dict[str, Any], site: str = "A", **changes: Any) -> Outcome:
    """Prepare rows of text, as CSV and JSON lines give them; columns are those of the first."""
    names = list(rows[0])
    columns = [pa.array([row[name] for row in rows], pa.large_string()) for name in names]
    return arrive(columns, names, site, **changes)


def arrive(given: list[pa.Array], names: list[str], site: str = "A", **changes: Any) -> Outcome:
    """Prepare a batch of columns for a feed with changes; the counts must add up."""
    rows = len(given[0])
    batch = pa.RecordBatch.from_arrays(
        [*given, repeated("2026-03-08/A/d1/f.csv", rows), pa.array(np.arange(rows) + 10)],
        names=[*names, "_source", "_position"],
    )
    declared = feed(**changes)
    arrival = Arrival(site, DAY, batch, bytes=77)
    outcome = prepare(arrival, declared, SITES, declared_rules(declared))
    check_conservation(outcome, rows)
    return outcome


def check_conservation(outcome: Outcome, rows: int) -> None:
    aside = outcome.quarantined.to_pylist() if outcome.quarantined is not None else []
    tally = outcome.tally
    assert tally.read == rows
    assert tally.rejected == sum(row["disposition"] == "rejected" for row in aside)
    assert tally.late == sum(row["disposition"] == "late" for row in aside)
    assert tally.read == outcome.accepted.num_rows + tally.rejected + tally.late
    places = outcome.accepted.column("_position").to_pylist() + [r["_position"] for r in aside]
    assert sorted(places) == list(range(10, 10 + rows))


def why(outcome: Outcome) -> list[tuple[str, str, str | None]]:
    aside = outcome.quarantined.to_pylist() if outcome.quarantined is not None else []
    return [(row["disposition"], row["reason"], row["column"]) for row in aside]


def test_good_row_is_cast_stamped_and_extended() -> None:
    outcome = run(GOOD)
    assert outcome.quarantined is None
    assert outcome.tally == Tally(read=1, bytes=77)
    (row,) = outcome.accepted.drop_columns(["_key"]).to_pylist()
    assert row == {
        "id": "x",
        "store": "A",
        "at": datetime(2026, 3, 8, 6, 15, tzinfo=UTC),
        "count": 2,
        "price": Decimal("1.50"),
        "total": Decimal("3.00"),
        "site": "A",
        "business_date": DAY,
        "_source": "2026-03-08/A/d1/f.csv",
        "_position": 10,
    }
    assert frame(outcome.accepted.select(feed().payload.names)).to_arrow().schema == feed().payload


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"count": "two"}, ("rejected", "malformed", "count")),
        ({"price": "1.505"}, ("rejected", "malformed", "price")),
        ({"price": ""}, ("rejected", "malformed", "price")),
        ({"at": "2026-03-08T06:15:00"}, ("rejected", "malformed", "at")),
        ({"at": "yesterday"}, ("rejected", "malformed", "at")),
        ({"id": None}, ("rejected", "missing", "id")),
        ({"at": None}, ("rejected", "missing", "at")),
        ({"store": None}, ("rejected", "missing", "store")),
        ({"store": "C"}, ("rejected", "unknown_site", "store")),
        ({"store": "a"}, ("rejected", "unknown_site", "store")),
        ({"store": "B"}, ("rejected", "other_site", "store")),
        ({"at": "2026-03-07T18:14:59.999999Z"}, ("late", "earlier_business_date", "at")),
        ({"at": "1990-01-01T00:00:00Z"}, ("late", "earlier_business_date", "at")),
        ({"at": "2026-03-08T18:15:00Z"}, ("rejected", "outside_window", "at")),
        ({"at": "9999-12-29T00:00:00Z"}, ("rejected", "outside_window", "at")),
    ],
)
def test_bad_row_goes_aside_with_its_reason(
    change: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    bad = GOOD | change
    outcome = run(GOOD, bad, GOOD | {"id": "y"})
    assert why(outcome) == [expected]
    assert outcome.accepted.column("id").to_pylist() == ["x", "y"]
    assert outcome.quarantined is not None
    assert outcome.quarantined.schema == SCHEMA
    (row,) = outcome.quarantined.to_pylist()
    assert json.loads(row["raw"]) == bad
    assert (row["site"], row["business_date"]) == ("A", DAY)
    assert (row["_source"], row["_position"]) == ("2026-03-08/A/d1/f.csv", 11)
    assert row["key"] == bad["id"]


@pytest.mark.parametrize(
    ("at", "row_date"),
    [
        ("2026-03-07T06:00:00Z", date(2026, 3, 7)),
        ("2026-03-09T06:00:00Z", date(2026, 3, 9)),
        ("soon", None),
        (None, None),
    ],
)
def test_row_of_another_day_names_its_own_date(at: str | None, row_date: date | None) -> None:
    outcome = run(GOOD | {"at": at})
    assert outcome.quarantined is not None
    assert outcome.quarantined.column("row_date").to_pylist() == [row_date]


def test_first_reason_wins_and_a_row_counts_once() -> None:
    worst = GOOD | {"count": "two", "price": "x", "id": None, "store": "C", "at": "1990"}
    rows = [worst, worst | {"at": GOOD["at"]}, worst | {"at": GOOD["at"], "count": "2"}]
    rows += [{**rows[2], "price": "1"}, {**rows[2], "price": "1", "id": "y"}]
    rows += [rows[4] | {"at": "1990-01-01T00:00:00Z"}]
    rows += [rows[5] | {"store": "B"}, rows[5] | {"store": "A"}]
    outcome = run(*rows)
    assert why(outcome) == [
        ("rejected", "malformed", "at"),
        ("rejected", "malformed", "count"),
        ("rejected", "malformed", "price"),
        ("rejected", "missing", "id"),
        ("rejected", "unknown_site", "store"),
        ("rejected", "unknown_site", "store"),
        ("rejected", "other_site", "store"),
        ("late", "earlier_business_date", "at"),
    ]
    assert (outcome.tally.read, outcome.tally.rejected, outcome.tally.late) == (8, 7, 1)


def test_absent_optional_column_is_null() -> None:
    names = ["id", "store", "at"]
    outcome = run({name: GOOD[name] for name in names})
    assert outcome.quarantined is None
    row = outcome.accepted.to_pylist()[0]
    assert (row["count"], row["price"], row["total"]) == (None, None, None)


@pytest.mark.parametrize("absent", ["id", "at", "store"])
def test_absent_required_column_rejects_every_row(absent: str) -> None:
    given_row = {name: value for name, value in GOOD.items() if name != absent}
    assert why(run(given_row, given_row)) == [("rejected", "missing", absent)] * 2


def test_extra_columns_are_counted_and_ignored() -> None:
    rows = [GOOD | {"colour": "red", "b": None}, GOOD | {"colour": None, "b": None}]
    outcome = run(*rows)
    assert outcome.quarantined is None
    assert outcome.tally.extra == (("colour", 1),)
    assert "colour" not in outcome.accepted.schema.names


def test_extra_columns_with_a_value_are_rejected_if_so_declared() -> None:
    rows = [GOOD | {"colour": "red"}, GOOD | {"colour": None}, GOOD | {"colour": ""}]
    outcome = run(*rows, extra_columns="reject")
    assert why(outcome) == [("rejected", "extra_column", "colour")] * 2
    assert outcome.accepted.num_rows == 1
    assert outcome.quarantined is not None
    assert json.loads(outcome.quarantined.column("raw")[0].as_py())["colour"] == "red"


def test_rules_of_any_kind_are_applied_after_the_types() -> None:
    declared = feed()
    rules = [
        Rule("negative", "count", pl.col("count") < 0),
        Rule("dear", "price", pl.col("price") > Decimal(100)),
        Rule("odd", "count", pl.col("count") % 2 == 1),
    ]
    names = ["id", "store", "at", "count", "price"]
    numbers = [("-1", "1"), ("2", "1"), ("1", "200"), (None, None), ("x", "200")]
    rows = [GOOD | {"count": count, "price": price} for count, price in numbers]
    columns = [pa.array([row[name] for row in rows], pa.large_string()) for name in names]
    batch = pa.RecordBatch.from_arrays(
        [*columns, repeated("f", 5), pa.array(range(10, 15))],
        names=[*names, "_source", "_position"],
    )
    outcome = prepare(Arrival("A", DAY, batch), declared, SITES, rules)
    check_conservation(outcome, 5)
    assert why(outcome) == [
        ("rejected", "negative", "count"),
        ("rejected", "dear", "price"),
        ("rejected", "malformed", "count"),
    ]


def test_lines_that_could_not_be_read_keep_their_text() -> None:
    names = [*GOOD, "_raw", "_error"]
    rows = [
        {**GOOD, "_raw": '{"id": "x", "more": [1]}', "_error": None},
        {**dict.fromkeys(GOOD), "_raw": '{"id"', "_error": "not_json"},
        {**GOOD, "count": "two", "_raw": '{"id":"x","count":"two","more":1}', "_error": None},
    ]
    outcome = arrive(
        [pa.array([row[name] for row in rows], pa.large_string()) for name in names], names
    )
    assert why(outcome) == [("rejected", "not_json", None), ("rejected", "malformed", "count")]
    assert outcome.quarantined is not None
    raw = outcome.quarantined.column("raw").to_pylist()
    assert raw == ['{"id"', '{"id":"x","count":"two","more":1}']
    assert outcome.quarantined.column("key").to_pylist() == [None, "x"]


def test_raw_row_has_the_values_as_they_came() -> None:
    columns = {
        "id": pa.array(['é"\n']),
        "store": pa.array(["C"]),
        "at": pa.array([datetime(2026, 3, 8, 6, 15, tzinfo=UTC)]),
        "count": pa.array([2**40]),
        "price": pa.array([Decimal("1.50")]),
        "ratio": pa.array([0.1]),
        "nan": pa.array([math.nan]),
        "flag": pa.array([True]),
        "day": pa.array([DAY]),
        "list": pa.array([[1, None]]),
        "map": pa.array([{"a": {"b": "c"}}]),
        "kind": pa.array(["k"]).dictionary_encode(),
    }
    outcome = arrive([*columns.values()], [*columns])
    assert outcome.quarantined is not None
    raw = json.loads(outcome.quarantined.column("raw")[0].as_py())
    assert raw == {
        "id": 'é"\n',
        "store": "C",
        "at": raw["at"],
        "count": 2**40,
        "price": "1.50",
        "ratio": 0.1,
        "nan": None,
        "flag": True,
        "day": "2026-03-08",
        "list": [1, None],
        "map": {"a": {"b": "c"}},
        "kind": "k",
    }
    assert datetime.fromisoformat(raw["at"]) == datetime(2026, 3, 8, 6, 15, tzinfo=UTC)


def test_business_date_may_be_declared() -> None:
    columns = DECLARED["columns"] | {"night": {"type": "date", "required": True}}
    days = ["2026-03-08", "2026-03-07", "2026-03-09", None, "tonight"]
    rows = [GOOD | {"at": "2026-03-09T12:00:00Z", "night": day} for day in days]
    outcome = run(*rows, columns=columns, business_date="night")
    assert outcome.accepted.column("business_date").to_pylist() == [DAY]
    assert why(outcome) == [
        ("late", "earlier_business_date", "night"),
        ("rejected", "outside_window", "night"),
        ("rejected", "missing", "night"),
        ("rejected", "malformed", "night"),
    ]
    assert outcome.quarantined is not None
    found = outcome.quarantined.column("row_date").to_pylist()
    assert found == [date(2026, 3, 7), date(2026, 3, 9), None, None]


def test_days_of_23_hours_end_an_hour_earlier() -> None:
    rows = [
        GOOD | {"store": "B", "at": at}
        for at in (
            "2026-03-08T04:59:59Z",
            "2026-03-08T05:00:00Z",
            "2026-03-09T03:59:59Z",
            "2026-03-09T04:00:00Z",
        )
    ]
    outcome = run(*rows, site="B")
    assert outcome.accepted.column("_position").to_pylist() == [11, 12]
    assert [reason for _, reason, _ in why(outcome)] == ["earlier_business_date", "outside_window"]


def test_local_times_are_read_in_the_zone_of_the_site() -> None:
    at = {"type": "timestamp", "required": True, "zone": "site"}
    rows = [GOOD | {"at": "2026-03-08T00:00:00"}, GOOD | {"at": "2026-03-08T23:59:59"}]
    rows += [GOOD | {"at": "2026-03-08T12:00:00", "store": "C"}]
    outcome = run(*rows, columns=DECLARED["columns"] | {"at": at})
    assert outcome.accepted.column("at").to_pylist() == [
        datetime(2026, 3, 7, 18, 15, tzinfo=UTC),
        datetime(2026, 3, 8, 18, 14, 59, tzinfo=UTC),
    ]
    assert why(outcome) == [("rejected", "malformed", "at")]


def test_key_of_several_columns_is_json_in_quarantine() -> None:
    outcome = run(GOOD | {"price": "x"}, key=["id", "store"])
    assert outcome.quarantined is not None
    (text,) = outcome.quarantined.column("key").to_pylist()
    assert json.loads(text) == {"id": "x", "store": "A"}


def test_key_hash_is_that_of_site_date_and_key() -> None:
    accepted = run(GOOD, GOOD | {"id": "y"}, GOOD | {"count": "9"}).accepted
    hashes = accepted.column("_key").to_pylist()
    assert hashes[0] == hashes[2] != hashes[1]
    expected = row_hashes(accepted, ["site", "business_date", "id"])[0]
    assert hashes == expected.tolist()


def test_batch_without_good_rows_and_batch_without_rows() -> None:
    outcome = run(GOOD | {"store": "C"})
    assert outcome.accepted.num_rows == 0
    assert outcome.accepted.schema == run(GOOD).accepted.schema
    names = list(GOOD)
    nothing = arrive([pa.array([], pa.large_string())] * len(names), names)
    assert nothing.tally.read == 0
    assert nothing.quarantined is None


FAULTS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["x", "y", None]),
        "store": st.sampled_from(["A", "A", "A", "B", "C", None]),
        "at": st.sampled_from([GOOD["at"]] * 3 + ["2026-03-01T00:00:00Z", "x", None]),
        "count": st.sampled_from(["1", None, "x"]),
        "price": st.sampled_from(["1.25", None, "1.255"]),
        "colour": st.sampled_from([None, "red"]),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(FAULTS, min_size=1, max_size=20),
    st.integers(0, 20),
    st.sampled_from(["ignore", "reject"]),
)
def test_what_becomes_of_a_row_does_not_depend_on_its_batch(
    rows: list[dict[str, Any]], cut: int, extra: str
) -> None:
    names = [*GOOD, "colour"]
    rows = [{name: row[name] for name in names} for row in rows]
    whole = run(*rows, extra_columns=extra)
    parts = [run(*part, extra_columns=extra) for part in (rows[:cut], rows[cut:]) if part]
    drop = ["_position", "_source"]
    for name in ("accepted", "quarantined"):
        found = [getattr(outcome, name) for outcome in parts]
        joined = [row for batch in found if batch is not None for row in batch.to_pylist()]
        expected = getattr(whole, name)
        listed = expected.to_pylist() if expected is not None else []
        assert [{k: v for k, v in row.items() if k not in drop} for row in joined] == [
            {k: v for k, v in row.items() if k not in drop} for row in listed
        ]
    assert whole.tally.rejected == sum(outcome.tally.rejected for outcome in parts)


def test_prepare_wires_it() -> None:
    names = list(GOOD)
    rows = [GOOD, GOOD | {"count": "two"}, GOOD | {"at": "2026-03-01T00:00:00Z"}]
    columns = [pa.array([row[name] for row in rows], pa.large_string()) for name in names]
    batch = pa.RecordBatch.from_arrays(
        [*columns, repeated("f", 3), pa.array(range(3))], names=[*names, "_source", "_position"]
    )
    arrivals = [Arrival("A", DAY, batch, 5), Arrival("A", DAY, batch.slice(1, 1), 0)]
    declared = feed()
    with Pipeline(runner=FnApiRunner()) as pipeline:
        made = pipeline | beam.Create(arrivals).with_output_types(Arrival)
        outputs = made | Prepare(declared, SITES, declared_rules(declared))
        assert_that(outputs.accepted | beam.Map(lambda b: b.num_rows), _is([1]), label="accepted")
        assert_that(
            outputs.quarantined | "Reasons" >> beam.Map(lambda b: b["reason"].to_pylist()),
            _is([["malformed"], ["malformed", "earlier_business_date"]]),
            label="quarantined",
        )
        tallies = [Tally(read=3, rejected=1, late=1, bytes=5), Tally(read=1, rejected=1)]
        assert_that(
            outputs.tallies, _is([(("A", DAY), tally) for tally in tallies]), label="tallies"
        )


def _is(expected: list[Any]) -> Any:
    def check(found: list[Any]) -> None:
        assert sorted(found, key=repr) == sorted(expected, key=repr)

    return check


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"\xff"]),
        pa.array([b"ab"], pa.binary(2)),
        pa.array([{"a": b"\xff"}]),
        pa.array([Decimal("1.5")], pa.decimal256(50, 2)),
        pa.array(["a"], pa.string_view()),
    ],
    ids=lambda column: str(column.type),
)
def test_bad_row_beside_a_value_of_any_type_goes_aside(column: pa.Array) -> None:
    bad = GOOD | {"store": "C"}
    columns = [pa.array([value], pa.large_string()) for value in bad.values()]
    assert why(arrive([*columns, column], [*bad, "more"])) == [
        ("rejected", "unknown_site", "store")
    ]


def test_lines_alone_that_could_not_be_read() -> None:
    lines = [pa.array(['"a,b"'], pa.large_string()), pa.array(["wrong_number_of_fields"])]
    outcome = arrive(lines, ["_raw", "_error"])
    assert why(outcome) == [("rejected", "wrong_number_of_fields", None)]
