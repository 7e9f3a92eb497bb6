"""All peers on one night, one after the other, each in a process of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.compare import difference, fingerprint
from bench.measure import measure
from bench.night import CACHE, FEWEST, Night, Shape, prepare, read_through
from bench.peer import REFERENCE, Peer
from bench.result import Race, Result, Run, extrapolated

WARM_UP_ROWS = 20_000
Say = Callable[[str], None]


def warm_up(peers: Sequence[Peer], *, cache: Path = CACHE, say: Say = print) -> None:
    """Let each peer do a tiny night: libraries in memory, modules compiled, jars fetched."""
    night = prepare(WARM_UP_ROWS, "uniform", cache=cache)
    for peer in peers:
        say(f"warming up {peer.name}")
        with scratch(cache) as out:
            measure(peer.command(night, out))  # a failure will show when it is timed


def race(
    peers: Sequence[Peer],
    rows: int,
    shape: Shape,
    *,
    repeat: int = 1,
    cache: Path = CACHE,
    say: Say = print,
) -> Race:
    """Time every peer on the same night, in rounds, and compare what each wrote."""
    say(f"preparing {rows:,} rows, {shape}")
    nights = {peer.name: part(peer, rows, shape, cache) for peer in peers}
    for night in set(nights.values()):
        ensure_reference(night)
    runs: dict[str, list[Run]] = {peer.name: [] for peer in peers}
    for turn in range(1, repeat + 1):
        for peer in peers:
            run = timed(peer, nights[peer.name], rows, cache)
            say(f"{peer.name}, run {turn} of {repeat}: {run.seconds:.2f} s {run.error}".rstrip())
            runs[peer.name].append(run)
    results = (
        Result(peer.name, tuple(runs[peer.name]), rows / nights[peer.name].rows) for peer in peers
    )
    return Race(rows, shape, tuple(results))


def part(peer: Peer, rows: int, shape: Shape, cache: Path) -> Night:
    """Return the night that a peer is given, smaller if it is too slow for all rows."""
    fewer = rows if peer.share == 1 else max(rows // peer.share, FEWEST)
    return prepare(fewer, shape, cache=cache)


def timed(peer: Peer, night: Night, rows: int, cache: Path) -> Run:
    """Run a peer once on input that is in memory, and compare its table with the reference."""
    read_through(night)
    with scratch(cache) as out:
        measured = measure(peer.command(night, out))
        if measured.code:
            error = f"exit {measured.code}: {last_words(measured.errors or measured.output)}"
            return Run(measured.seconds, measured.peak_mb, measured.private_mb, error)
        seconds = extrapolated(measured, rows / night.rows)
        error = mismatch(night.reference, out / peer.table)
        return Run(seconds, measured.peak_mb, measured.private_mb, error)


def mismatch(reference: Path, table: Path) -> str:
    """Say how a Delta table differs from the reference, nothing if it does not."""
    try:
        if fingerprint(table) == fingerprint(reference):
            return ""
        return str(difference(reference, table))
    except Exception as error:  # whatever is wrong with a peer's table is that peer's result
        return f"{type(error).__name__}: {error}"


def ensure_reference(night: Night) -> None:
    """Write the rows that must come out, once per night; checked against their maker's count."""
    if night.reference.exists():
        return
    with scratch(night.landing.parent) as out:
        measured = measure(REFERENCE.command(night, out))
        if measured.code:
            raise RuntimeError(f"{REFERENCE.name} failed: {last_words(measured.errors)}")
        rows = fingerprint(out / REFERENCE.table).rows
        if rows != night.accepted:
            raise RuntimeError(f"{REFERENCE.name} gave {rows:,} rows instead of {night.accepted:,}")
        shutil.move(out / REFERENCE.table, night.reference)


def last_words(text: str, lines: int = 12) -> str:
    """Return the end of what a program printed."""
    return "\n".join(text.strip().splitlines()[-lines:])


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Give a new place for a table, and remove it in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    parent = Path(tempfile.mkdtemp(prefix="out-", dir=folder))
    try:
        yield parent / "table"
    finally:
        shutil.rmtree(parent, ignore_errors=True)
