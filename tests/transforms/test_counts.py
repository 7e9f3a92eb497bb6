from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows, TimestampedValue, WindowFn
from hypothesis import given, settings
from hypothesis import strategies as st

import isopach.transforms.batches  # noqa: F401 registers the coder of dates
from isopach.feeds.sites import Site, Sites
from isopach.transforms.counts import MODULUS, NAMED, SiteCounts, Tally, Window, add_tallies
from isopach.transforms.windows import LAST, at_days_end

ZONES = {
    "NYC": "America/New_York",
    "KTM": "Asia/Kathmandu",
    "GRU": "America/Sao_Paulo",
    "APW": "Pacific/Apia",
}
SITES = Sites(
    {
        name: Site(site=name, name=name, time_zone=zone, deadline=time(2))
        for name, zone in ZONES.items()
    }
)
NUMBERS = [name for name in Tally._fields if name not in NAMED]
PAIRS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 99)).map(
    lambda found: tuple(sorted(found.items()))
)
TALLIES = st.builds(
    lambda numbers, pairs: Tally(**numbers, **pairs),
    st.fixed_dictionaries(
        {
            name: st.integers(0, MODULUS - 1 if name.startswith("checksum") else 10**12)
            for name in NUMBERS
        }
    ),
    st.fixed_dictionaries(dict.fromkeys(NAMED, PAIRS)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(TALLIES, max_size=9), st.integers(0, 9), st.randoms(use_true_random=False))
def test_sums_of_sums_are_the_sum(tallies: list[Tally], cut: int, random: Any) -> None:
    whole = add_tallies(tallies)
    for name in NUMBERS:
        assert getattr(whole, name) == sum(getattr(one, name) for one in tallies) % MODULUS
    for field in NAMED:
        pairs = [pair for one in tallies for pair in getattr(one, field)]
        assert dict(getattr(whole, field)) == {
            name: sum(rows for other, rows in pairs if other == name) for name, _ in pairs
        }
    shuffled = random.sample(tallies, len(tallies))
    parts = [add_tallies(shuffled[:cut]), add_tallies(shuffled[cut:]), add_tallies([])]
    assert add_tallies(parts) == whole


def test_checksums_are_added_modulo_two_to_the_64() -> None:
    one = Tally(checksum_a=MODULUS - 1, checksum_b=1)
    assert add_tallies([one, one]) == Tally(checksum_a=MODULUS - 2, checksum_b=2)
    assert add_tallies([]) == Tally()


@pytest.mark.parametrize(
    ("site", "day", "start", "hours"),
    [
        ("NYC", date(2026, 3, 8), "2026-03-08T05:00", 23),
        ("NYC", date(2026, 11, 1), "2026-11-01T04:00", 25),
        ("KTM", date(2026, 3, 8), "2026-03-07T18:15", 24),
        ("GRU", date(2018, 11, 4), "2018-11-04T03:00", 23),
        ("APW", date(2011, 12, 31), "2011-12-30T10:00", 24),
        ("unregistered", date(2026, 3, 8), "2026-03-08T00:00", 24),
    ],
)
def test_window_ends_with_the_local_day(site: str, day: date, start: str, hours: int) -> None:
    end = datetime.fromisoformat(start).replace(tzinfo=UTC) + timedelta(hours=hours)
    for key in ((site, day), ("name of a total", site, day)):
        stamped = at_days_end((key, None), SITES)
        assert stamped.value == (key, None)
        context = WindowFn.AssignContext(stamped.timestamp)
        (window,) = FixedWindows(LAST).assign(context)
        assert window.end.to_utc_datetime(has_tz=True) == end


def test_site_counts_sum_per_window() -> None:
    day = date(2026, 3, 8)
    tallies = [
        (("NYC", day), Tally(read=3, accepted=2, rejected=1, checksum_a=MODULUS - 1)),
        (("NYC", day), Tally(read=4, accepted=4, checksum_a=2)),
        (("NYC", date(2026, 3, 9)), Tally(read=5)),
        (("KTM", day), Tally(read=6, late=6)),
        (("unregistered", day), Tally(read=7, rejected=7)),
    ]

    def same(found: list[Any]) -> None:
        assert sorted(found) == [
            (("KTM", day), Tally(read=6, late=6), "2026-03-08T18:15:00"),
            (
                ("NYC", day),
                Tally(read=7, accepted=6, rejected=1, checksum_a=1),
                "2026-03-09T04:00:00",
            ),
            (("NYC", date(2026, 3, 9)), Tally(read=5), "2026-03-10T04:00:00"),
            (("unregistered", day), Tally(read=7, rejected=7), "2026-03-09T00:00:00"),
        ]

    def ends(element: tuple[Window, Tally], window: Any = beam.DoFn.WindowParam) -> Any:
        return *element, window.end.to_utc_datetime().isoformat()

    with Pipeline(runner=FnApiRunner()) as pipeline:
        scattered = (
            pipeline
            | beam.Create(tallies)
            | beam.Map(_at_some_time).with_output_types(tuple[Window, Tally])
        )
        assert_that(scattered | SiteCounts(SITES) | beam.Map(ends), same)


def _at_some_time(element: tuple[Window, Tally]) -> TimestampedValue:
    return TimestampedValue(element, element[1].read * 1_000_000)
