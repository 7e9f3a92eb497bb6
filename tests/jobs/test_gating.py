"""A night gated by its feed's suites."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from small_night import DAY, SmallNight, declare, row, rows

from isopach.expectations.gate import Outcome, Table, gate
from isopach.feeds.suites import Suite
from isopach.jobs.approving import approve
from isopach.jobs.nightly import Options
from isopach.jobs.progress import Progress

MINUTES = {"column": "minutes", "min_value": 0, "max_value": 100}
BETWEEN = "expect_column_values_to_be_between"


def expected(type_: str, severity: str = "critical", meta: Any = None, **kwargs: Any) -> Any:
    return {"type": type_, "kwargs": kwargs, "severity": severity, "meta": meta or {}}


def night(folder: Path, *expectations: Any, counts: Any = (), **changes: Any) -> SmallNight:
    """Return a night whose feed has suites."""
    made = SmallNight(folder, declare(folder))
    suites: dict[str, Any] = {"suite": {"name": "visits", "expectations": [*expectations]}}
    if counts:
        suites["counts_suite"] = {"name": "visits_counts", "expectations": [*counts]}
    return made.declared(**suites, **changes)


def bad(site: str, count: int) -> list[dict[str, Any]]:
    return [row(site, f"{site}-bad-{n}", minutes=1000 + n) for n in range(count)]


def deliver(made: SmallNight, **others: list[dict[str, Any]]) -> None:
    """Deliver ten good rows of each site, but those that are given."""
    for site in ("nyc", "kathmandu", "kiritimati", "pago"):
        made.deliver(site, others.get(site) or rows(site, 10))


def states(made: SmallNight) -> dict[str, str]:
    return {site: state for (site, _), state in made.states().items()}


def lines(made: SmallNight) -> dict[str, tuple[str, int | None, int | None]]:
    """Return the line of each expectation over the whole run."""
    runs = made.table("gates").filter(pl.col("site").is_null())
    columns = ("expectation", "outcome", "unexpected", "evaluated")
    return {label: (o, u, e) for label, o, u, e in runs.select(columns).rows()}


def test_rows_that_do_not_meet_a_critical_expectation_are_set_aside(tmp_path: Path) -> None:
    made = night(tmp_path, expected(BETWEEN, **MINUTES))
    deliver(made, nyc=rows("nyc", 7) + bad("nyc", 3))
    summary = made.run()
    assert (summary.outcome, summary.rejected, summary.gates) == (
        "published",
        3,
        {"passed": 1, "failed": 0},
    )
    aside = made.table("quarantine").select("reason", "column", "site").unique()
    assert aside.rows() == [(BETWEEN, "minutes", "nyc")]
    assert lines(made) == {f"{BETWEEN}(minutes)": ("passed", 3, 40)}
    assert made.findings() == []


@pytest.mark.parametrize(("failing", "state"), [(2, "settled"), (3, "held")])
def test_mostly_is_a_tolerance_and_its_boundary_is_exact(
    tmp_path: Path, failing: int, state: str
) -> None:
    made = night(tmp_path, expected(BETWEEN, **MINUTES, mostly=0.98))
    deliver(made, nyc=rows("nyc", 100 - failing) + bad("nyc", failing))
    summary = made.run()
    assert states(made) == {"nyc": state, "kathmandu": "settled"} | dict.fromkeys(
        ("kiritimati", "pago"), "settled"
    )
    assert summary.rejected == failing
    if state == "held":
        assert summary.held == [
            {
                "site": "nyc",
                "reason": f"{BETWEEN}(minutes): 3 of 100 rows (3.00%) do not meet it, 2.00% may",
            }
        ]


def test_a_row_counts_for_every_rule_it_does_not_meet(tmp_path: Path) -> None:
    fee = {"column": "fee", "max_value": 1}
    made = night(tmp_path, expected(BETWEEN, **MINUTES), expected(BETWEEN, **fee, mostly=0.5))
    deliver(made, nyc=bad("nyc", 4) + rows("nyc", 2))
    made.run()
    assert lines(made)[f"{BETWEEN}(minutes)"] == ("passed", 4, 36)
    assert lines(made)[f"{BETWEEN}(fee)"] == ("failed", 36, 36)


def test_a_warning_publishes_and_says_so(tmp_path: Path) -> None:
    made = night(tmp_path, expected(BETWEEN, "warning", **MINUTES, mostly=0.9))
    deliver(made, pago=rows("pago", 8) + bad("pago", 2))
    summary = made.run()
    assert (summary.outcome, summary.rejected, summary.accepted) == ("published", 0, 40)
    (warning,) = summary.warnings
    assert (warning["site"], warning["expectation"]) == ("pago", f"{BETWEEN}(minutes)")
    assert "2 of 10 rows (20.00%)" in str(warning["observed"])


@pytest.mark.parametrize(
    ("grain", "held"),
    [("window", {"pago"}), ("run", {"nyc", "kathmandu", "kiritimati", "pago"})],
)
def test_what_needs_all_rows_holds_by_its_grain(tmp_path: Path, grain: str, held: set[str]) -> None:
    mean = expected(
        "expect_column_mean_to_be_between", column="minutes", max_value=5, meta={"grain": grain}
    )
    made = night(tmp_path, mean)
    deliver(made, pago=[row("pago", f"p{n}", minutes=50) for n in range(10)])
    summary = made.run()
    assert {item["site"] for item in summary.held} == held
    assert all("expect_column_mean_to_be_between(minutes)" in i["reason"] for i in summary.held)


def test_unique_values_are_looked_for_in_the_whole_window(tmp_path: Path) -> None:
    unique = expected("expect_column_values_to_be_unique", column="minutes")
    made = night(tmp_path, unique, salting={"target_rows": 2})
    numbered = {s: [row(s, f"{s}{n}", minutes=n) for n in range(20)] for s in ("nyc", "pago")}
    numbered["pago"][19]["minutes"] = 3
    for site, sent in numbered.items():
        made.deliver(site, sent)
    summary = made.run(only=frozenset(numbered))
    assert [item["site"] for item in summary.held] == ["pago"]


def test_nothing_passes_for_want_of_values(tmp_path: Path) -> None:
    made = night(
        tmp_path,
        expected(BETWEEN, **MINUTES),
        expected("expect_column_mean_to_be_between", "warning", column="minutes", max_value=50),
    )
    deliver(made, nyc=[row("nyc", f"n{n}", minutes=None) for n in range(5)])
    summary = made.run()
    assert summary.held == [{"site": "nyc", "reason": f"{BETWEEN}(minutes): no value to look at"}]
    assert [w["observed"] for w in summary.warnings] == ["no value to look at"]


def test_nothing_to_look_at_may_be_allowed(tmp_path: Path) -> None:
    made = night(tmp_path, expected(BETWEEN, **MINUTES, meta={"may_be_empty": True}))
    deliver(made, nyc=[row("nyc", f"n{n}", minutes=None) for n in range(5)])
    assert made.run().held == []


def test_counts_are_gated_by_a_suite_of_their_own(tmp_path: Path) -> None:
    rate = expected(BETWEEN, column="reject_rate", max_value=0.2)
    made = night(tmp_path, expected(BETWEEN, **MINUTES), counts=[rate])
    deliver(made, nyc=rows("nyc", 8) + bad("nyc", 2), pago=rows("pago", 7) + bad("pago", 3))
    summary = made.run()
    assert [item["site"] for item in summary.held] == ["pago"]
    assert "expect_column_values_to_be_between(reject_rate)" in summary.held[0]["reason"]


def test_a_night_run_again_has_its_gates_once(tmp_path: Path) -> None:
    made = night(tmp_path, expected(BETWEEN, **MINUTES, mostly=0.9))
    deliver(made, nyc=bad("nyc", 5))
    first, second = made.run(), made.run()
    gates = made.table("gates").group_by("run").len().sort("run")
    assert gates.rows() == [(first.run, 2), (second.run, 2)]


def test_what_a_gate_holds_may_be_approved(tmp_path: Path) -> None:
    made = night(tmp_path, expected(BETWEEN, **MINUTES, mostly=0.9))
    deliver(made, nyc=rows("nyc", 5) + bad("nyc", 5))
    summary = made.run()
    silent = Progress(Console(quiet=True))
    approve(made.declaration, made.lake, summary.run, None, Options(), silent)
    assert set(states(made).values()) == {"settled"}
    assert made.table("records").filter(site="nyc").height == 5
    assert made.findings() == []


def outcomes_of(suite: Suite, parts: list[pl.DataFrame]) -> list[Outcome]:
    whole = pl.concat(parts)
    windows = whole.select("site", "business_date").unique(maintain_order=True).rows()
    table = Table(
        sorted(windows), whole.to_arrow().schema, [lambda p=p: p for p in parts], whole.select
    )
    return gate(suite, table)


def test_an_expectation_that_cannot_be_looked_at_has_failed() -> None:
    sums = expected("expect_column_sum_to_be_between", column="t", max_value=5)
    suite = Suite.model_validate({"name": "any", "expectations": [sums]})
    table = pl.DataFrame({"site": ["a"], "business_date": [date(2026, 3, 8)], "t": ["x"]})
    (found,) = outcomes_of(suite, [table])
    assert not found.passed
    assert found.observed.startswith("cannot be looked at: ")


@pytest.mark.parametrize("size", [1, 7, 100])
def test_any_batching_has_the_same_outcome(size: int) -> None:
    suite = Suite.model_validate(
        {
            "name": "any",
            "expectations": [
                expected(BETWEEN, "warning", column="n", max_value=90, mostly=0.9),
                expected("expect_column_values_to_match_regex", column="t", regex="^a"),
                expected("expect_column_mean_to_be_between", column="n", max_value=50),
            ],
        }
    )
    table = pl.DataFrame(
        {
            "site": ["a", "b", "c", "d"] * 25,
            "business_date": [date(2026, 3, 8)] * 100,
            "n": range(100),
            "t": ["a", "b", None, "ab"] * 25,
        }
    )
    parts = [table[start : start + size] for start in range(0, 100, size)]
    assert outcomes_of(suite, parts) == outcomes_of(suite, [table])


def test_the_suite_of_a_feed_is_recorded_with_its_runs(tmp_path: Path) -> None:
    made = night(tmp_path, expected(BETWEEN, **MINUTES))
    deliver(made)
    made.run()
    (parameters,) = made.table("runs")["parameters"]
    assert '"max_value": 100' in parameters
    assert made.table("gates")["business_date"].unique().to_list() == [DAY]


EVERY_KIND = [
    expected(BETWEEN, column="n", min_value=0),
    expected("expect_column_values_to_not_be_null", column="n"),
    expected("expect_column_values_to_be_unique", column="n"),
    expected("expect_column_mean_to_be_between", column="n", max_value=5),
    expected("expect_column_distinct_values_to_be_in_set", column="n", value_set=[1]),
    expected("expect_table_row_count_to_be_between", min_value=1),
]


@pytest.mark.parametrize("grain", ["window", "run"])
@pytest.mark.parametrize("values", [[], [None, None]])
def test_tables_without_values_pass_nothing(values: list[None], grain: str) -> None:
    asked = EVERY_KIND if not values else EVERY_KIND[:-1]
    suite = Suite.model_validate({"name": "any", "meta": {"grain": grain}, "expectations": asked})
    rows = pl.DataFrame(
        {"site": ["a"] * len(values), "business_date": [DAY] * len(values), "n": values},
        schema={"site": pl.String, "business_date": pl.Date, "n": pl.Int64},
    )
    table = Table([("a", DAY)], rows.to_arrow().schema, [lambda: rows], rows.select)
    found = gate(suite, table)
    assert len(found) == len(asked)
    assert not any(one.passed for one in found), [one.reason for one in found if one.passed]
