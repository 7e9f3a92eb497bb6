"""Progress on stderr: a line per phase, with a bar where the work is known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from isopach.pipelines.progress import ENGINE, READ, STAGED


class Progress:
    """Shows phases as they run; silent where stderr is not a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    @contextmanager
    def phase(
        self, name: str, seconds: dict[str, float], rows: int | None = None
    ) -> Iterator[None]:
        """Show a phase while it runs, and note how long it took.

        Args:
            rows: how many are to be read and to be staged, in all.
        """
        start, read_before, staged_before = perf_counter(), READ.value, STAGED.value
        columns = [
            SpinnerColumn(),
            TextColumn("{task.description:<8}"),
            BarColumn(),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
        ]
        shown = self.console.is_terminal
        with Bars(*columns, console=self.console, disable=not shown) as bars:
            task = bars.add_task(name, total=rows, said="")
            done = threading.Event()

            def follow() -> None:
                while not done.wait(0.1):
                    read, staged = READ.value - read_before, STAGED.value - staged_before
                    said = ENGINE.text or f"{read:,} rows read, {staged:,} staged"
                    bars.update(task, completed=read + staged, said=said)

            watcher = threading.Thread(target=follow, daemon=True) if rows and shown else None
            if watcher:
                watcher.start()
            try:
                yield
                bars.update(task, total=rows or 1, completed=rows or 1)
            finally:
                done.set()
                if watcher:
                    watcher.join()
        seconds[name.lower()] = round(perf_counter() - start, 3)

    @contextmanager
    def steps(self, name: str, total: int) -> Iterator[Callable[[int, str], None]]:
        """Show steps of known number; yields a function that says how many are done, and what now.

        Args:
            name: what the steps are of.
        """
        columns = [
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
        ]
        shown = self.console.is_terminal
        with Bars(*columns, console=self.console, disable=not shown, transient=True) as bars:
            task = bars.add_task(name, total=total, said="")
            yield lambda done, said: bars.update(task, completed=done, said=said)
