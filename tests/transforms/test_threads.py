from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows, SlidingWindows, TimestampedValue

from isopach.transforms import threads as module
from isopach.transforms.threads import flat_map

ELEMENTS = list(range(60))


def split(number: int, times: int = 2) -> Iterator[Any]:
    """Yield several outputs, none for some elements, and some to a tag."""
    for part in range(number % times + number % 3):
        yield f"{number}.{part}"
    if number % 4 == 0:
        yield beam.pvalue.TaggedOutput("fourth", number)


def placed(
    value: Any,
    timestamp: Any = beam.DoFn.TimestampParam,
    window: Any = beam.DoFn.WindowParam,
) -> str:
    return f"{value} at {timestamp.micros} in {window}"


def named(text: str, by: str, tag: str) -> tuple[str, str]:
    return by, f"{tag} {text}"


@pytest.mark.parametrize(
    "windows",
    [
        beam.WindowInto(beam.window.GlobalWindows()),
        beam.WindowInto(FixedWindows(10)),
        beam.WindowInto(SlidingWindows(20, 10)),
    ],
    ids=["global", "fixed", "sliding"],
)
def test_same_outputs_as_a_flat_map(windows: beam.WindowInto) -> None:
    steps = {"threads": flat_map(split, times=3), "plain": beam.FlatMap(split, times=3)}

    def same(found: list[tuple[str, str]]) -> None:
        seen = {name: sorted(text for by, text in found if by == name) for name in steps}
        assert len(seen["plain"]) > len(ELEMENTS)
        assert seen["threads"] == seen["plain"]

    with Pipeline(runner=FnApiRunner()) as pipeline:
        timed = (
            pipeline
            | beam.Create(ELEMENTS)
            | beam.Map(lambda n: TimestampedValue(n, n * 7 % 60))
            | windows
        )
        outputs = []
        for name, step in steps.items():
            results = timed | name >> step.with_outputs("fourth", main="main")
            outputs += [
                results[tag]
                | f"Place {name} {tag}" >> beam.Map(placed)
                | f"Name {name} {tag}" >> beam.Map(named, by=name, tag=tag)
                for tag in ("main", "fourth")
            ]
        together = outputs | beam.Flatten() | "All" >> beam.WindowInto(beam.window.GlobalWindows())
        assert_that(together, same)


def test_order_is_kept_though_later_elements_are_done_first() -> None:
    gathered: list[Any] = []
    done = [threading.Event() for _ in range(4)]

    def slow(number: int) -> Iterator[int]:
        if number == 0:
            assert done[1].wait(30), "the next element was not worked on meanwhile"
        yield number
        done[number].set()

    dofn = flat_map(slow).dofn
    dofn.start_bundle()
    for number in range(2):
        gathered += dofn.process(number, 0, beam.window.GlobalWindow())
    gathered += dofn.finish_bundle()
    assert [output.value for output in gathered] == [0, 1]


def test_few_elements_wait_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "threads", lambda: 2)
    dofn = flat_map(lambda n: [n] * 3).dofn
    dofn.start_bundle()
    counts = [len([*dofn.process(n, 0, beam.window.GlobalWindow())]) for n in range(5)]
    assert counts == [0, 0, 3, 3, 3]
    assert len([*dofn.finish_bundle()]) == 6
    assert [*dofn.finish_bundle()] == []


def fail_on_seven(number: int) -> Iterator[int]:
    if number == 7:
        raise ValueError("seven cannot be split")
    yield number


def test_exception_ends_the_pipeline() -> None:
    with (
        pytest.raises(Exception, match="seven cannot be split"),
        Pipeline(runner=FnApiRunner()) as pipeline,
    ):
        _ = pipeline | beam.Create(ELEMENTS) | flat_map(fail_on_seven)


def test_exception_in_the_last_element_ends_the_pipeline() -> None:
    with (
        pytest.raises(Exception, match="seven cannot be split"),
        Pipeline(runner=FnApiRunner()) as pipeline,
    ):
        _ = pipeline | beam.Create([7]) | flat_map(fail_on_seven)


def test_bundle_after_a_failed_one_starts_empty() -> None:
    dofn = flat_map(fail_on_seven).dofn
    dofn.start_bundle()
    _ = [*dofn.process(7, 0, beam.window.GlobalWindow())]
    with pytest.raises(ValueError, match="seven"):
        _ = [*dofn.finish_bundle()]
    dofn.start_bundle()
    _ = [*dofn.process(1, 0, beam.window.GlobalWindow())]
    assert [output.value for output in dofn.finish_bundle()] == [1]


def later(number: int) -> Iterator[Any]:
    yield TimestampedValue(number, 99)
