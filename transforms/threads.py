"""Map elements in threads: Arrow, NumPy and Polars kernels let go of the interpreter's lock.

An embedded run has one Beam worker; this is what lets it use all cores. Order is kept, and at
most `threads()` elements and their outputs wait in memory.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

import apache_beam as beam
from apache_beam.utils.windowed_value import WindowedValue


def threads() -> int:
    """Return how many elements are worked on at once."""
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads(), thread_name_prefix="isopach")


def wait_until_idle() -> None:
    """Wait for what threads still work on, and drop what they have not begun."""
    _pool().shutdown(wait=True, cancel_futures=True)
    _pool.cache_clear()


def flat_map(fn: Callable[..., Iterable[Any]], **arguments: Any) -> beam.ParDo:
    """Return a FlatMap of a function (with these keyword arguments) that runs in threads."""
    return beam.ParDo(_Ahead(partial(fn, **arguments)))


class _Ahead(beam.DoFn):  # type: ignore[misc]
    """Start work on an element at once, and emit outputs in order as they are done.

    What waits when a bundle ends is emitted before the bundle is done, each with the timestamp and
    window of its own element.
    """

    def __init__(self, fn: Callable[[Any], Iterable[Any]]) -> None:
        self.fn = fn

    def start_bundle(self) -> None:
        self.waiting: deque[Future[list[Any]]] = deque()

    def process(
        self,
        element: Any,
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[Any]:
        self.waiting.append(_pool().submit(_outputs, self.fn, element, timestamp, window))
        while len(self.waiting) > threads():
            yield from self.waiting.popleft().result()

    def finish_bundle(self) -> Iterator[Any]:
        while self.waiting:
            yield from self.waiting.popleft().result()


def _outputs(
    fn: Callable[[Any], Iterable[Any]], element: Any, timestamp: Any, window: Any
) -> list[Any]:
    return [_placed(output, timestamp, window) for output in fn(element)]


def _placed(output: Any, timestamp: Any, window: Any) -> Any:
    if isinstance(output, beam.pvalue.TaggedOutput):
        return beam.pvalue.TaggedOutput(output.tag, _placed(output.value, timestamp, window))
    return WindowedValue(output, timestamp, (window,))
