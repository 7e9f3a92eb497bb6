"""Compact a stream's tables now and then, beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

from deltalake.exceptions import DeltaError

from isopach.lake.compact import compact
from isopach.lake.places import Place
from isopach.lake.tables import Table

LOG = logging.getLogger("isopach.stream")
SECONDS = 60.0


@contextmanager
def compacting(lake: Place, tables: Sequence[Table], seconds: float = SECONDS) -> Iterator[None]:
    """Compact tables every so often while it lasts; what fails is logged, and tried again."""
    stop = Event()
    thread = Thread(target=_run, args=(lake, tables, seconds, stop), name="compact", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _run(lake: Place, tables: Sequence[Table], seconds: float, stop: Event) -> None:
    while not stop.wait(seconds):
        for table in tables:
            try:
                fewer = compact(lake, table)
            except (OSError, DeltaError) as error:
                LOG.warning("%s was not compacted: %s", table.name, error)
                continue
            if fewer:
                LOG.info("%s has %d files fewer", table.name, fewer, extra={"table": table.name})
