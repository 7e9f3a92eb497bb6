"""`python -m bench nightly` races on one night, `stream` on a topic, `all` on both kinds.

`reconcile` compares a night with its stream, `quality` what suites cost, `spark` nights on Spark.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import on_spark
from bench import quality as gating
from bench import reconcile as reconciling
from bench.night import FEWEST, Shape
from bench.page import RESULTS, write_section
from bench.peer import ALL, Peer, named
from bench.race import WARM_UP_ROWS, race, warm_up
from bench.report import section
from bench.result import Race
from bench.stream import peer as stream_peer
from bench.stream import race as streams
from bench.stream import report as stream_report
from bench.stream.race import Course
from bench.stream.result import Streams
from bench.stream.table import remarks, terminals
from bench.table import terminal

SHAPES: tuple[Shape, ...] = ("uniform", "zipf", "hot")
EVERYONE = ",".join(peer.name for peer in ALL)
EVERY_STREAM = ",".join(peer.name for peer in stream_peer.ALL)

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
progress = Console(stderr=True, highlight=False, soft_wrap=True)

Repeat = Annotated[int, typer.Option(min=1, help="Runs of each peer; the median counts.")]
Peers = Annotated[str, typer.Option(help="Comma-separated names.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
To = Annotated[Path, typer.Option(help="The page of results that gets the section.")]


def say(text: str) -> None:
    """Print a line of progress on stderr."""
    progress.print(text, markup=False, style="dim")


def chosen(names: str) -> list[Peer]:
    """Return the peers asked for; an unknown name is bad usage."""
    try:
        return named(names)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--peers") from error


def chosen_streams(names: str) -> list[stream_peer.StreamPeer]:
    """Return the peers of streams asked for; an unknown name is bad usage."""
    try:
        return stream_peer.named(names)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--peers") from error


@app.command()
def nightly(
    rows: Annotated[int, typer.Option(min=FEWEST)] = 1_000_000,
    shape: Shape = "zipf",
    peers: Peers = EVERYONE,
    repeat: Repeat = 1,
    as_json: AsJson = False,
) -> None:
    """Consolidate the same night by each peer, one after the other, and compare."""
    racing = chosen(peers)
    warm_up(racing, say=say)
    found = race(racing, rows, shape, repeat=repeat, say=say)
    if as_json:
        print(json.dumps(found.document()))
    else:
        show(found)
    raise typer.Exit(0 if found.equal else 1)


@app.command()
def stream(
    rate: Annotated[list[int], typer.Option(min=1, help="Events a second.")] = [1_000, 5_000],  # noqa: B006
    seconds: Annotated[int, typer.Option(min=1, help="How long each rate is measured.")] = 30,
    backlog: Annotated[int, typer.Option(min=FEWEST)] = 5_000_000,
    peers: Peers = EVERY_STREAM,
    to: To = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Land the same events by each peer from one broker: latency, and time to drain a backlog.

    The section on streams is written anew, unless JSON is asked for.
    """
    found = streams.race(chosen_streams(peers), Course(rate, seconds, backlog), say=say)
    if as_json:
        print(json.dumps(found.document()))
    else:
        show_streams(found)
        write_streams(found, peers, to)
    raise typer.Exit(0 if found.equal else 1)


@app.command()
def reconcile(
    rows: Annotated[int, typer.Option(min=20_000, help="Of each side.")] = 1_000_000,
    spark: Annotated[bool, typer.Option("--spark", help="Join on Spark as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a stream with the same night, one that differs in a window of 200, and one in all.

    Beside it DuckDB joins the same tables, and Spark; all must find as many records to differ.
    """
    found = reconciling.race(rows, spark=spark, say=say)
    if as_json:
        print(json.dumps({"reconcile": [one.document() for one in found]}))
    else:
        Console(soft_wrap=True).print(reconciling.terminal(found))
    raise typer.Exit(0 if all(one.equal for one in found) else 1)


@app.command()
def quality(
    rows: Annotated[int, typer.Option(min=20_000)] = 1_000_000,
    repeat: Repeat = 3,
    as_json: AsJson = False,
) -> None:
    """Run a night with its suites and without: what row rules and the gate take of staging.

    Beside it the library alone looks at the same records in one frame; both must find the same.
    """
    found = gating.race(rows, repeat=repeat, say=say)
    if as_json:
        print(json.dumps({"quality": found.document()}))
    else:
        Console(soft_wrap=True).print(gating.terminal([found]))
    raise typer.Exit(0 if found.equal else 1)


@app.command()
def spark(
    rows: Annotated[
        int, typer.Option(min=FEWEST, help="Of an even and of a skewed night.")
    ] = 10_000_000,
    large: Annotated[int, typer.Option(min=FEWEST, help="Of a large one.")] = 50_000_000,
    repeat: Repeat = 1,
    to: To = RESULTS,
) -> None:
    """Race Beam on Spark against a hand-written job there, and write the section on it."""
    racing = chosen(on_spark.PEERS)
    warm_up(racing, say=say)
    nights: list[tuple[int, Shape]] = [
        (WARM_UP_ROWS, "uniform"),
        (rows, "uniform"),
        (rows, "hot"),
        (large, "zipf"),
    ]
    races = []
    for size, shape in nights:
        races.append(race(racing, size, shape, repeat=repeat, say=say))
        show(races[-1])
    repeated = f"python -m bench spark --rows {rows} --large {large} --repeat {repeat}"
    write_section(to, "Nights on Spark", on_spark.section(races[0], races[1:], repeated))
    say(f"written to {to}")
    raise typer.Exit(0 if all(one.equal for one in races) else 1)


@app.command(name="all")
def everything(
    rows: Annotated[list[int], typer.Option(min=FEWEST)] = [1_000_000, 10_000_000],  # noqa: B006
    flat_rows: Annotated[
        int, typer.Option(min=FEWEST, help="The large night that isopach does alone.")
    ] = 30_000_000,
    peers: Peers = EVERYONE,
    repeat: Repeat = 1,
    with_streams: Annotated[bool, typer.Option("--streams/--no-streams")] = True,
    to: To = RESULTS,
) -> None:
    """Race on every size and shape, then on streams, and write the page of results."""
    racing = chosen(peers)
    nights = [(size, shape, racing) for size in rows for shape in SHAPES]
    ours = [peer for peer in racing if peer is ALL[0]]
    if ours:
        nights.append((flat_rows, "zipf", ours))
    warm_up(racing, say=say)
    races = []
    for size, shape, runners in nights:
        races.append(race(runners, size, shape, repeat=repeat, say=say))
        show(races[-1])
    write_section(to, "Nights", section(races, [command(one, repeat) for one in races]))
    say(f"written to {to}")
    equal = all(one.equal for one in races)
    if with_streams:
        found = streams.race(stream_peer.ALL, Course(), say=say)
        show_streams(found)
        write_streams(found, EVERY_STREAM, to)
        equal = equal and found.equal
    raise typer.Exit(0 if equal else 1)


def show(found: Race) -> None:
    """Print a table, and in full what went wrong."""
    console = Console(soft_wrap=True)
    console.print(terminal(found))
    for result in found.results:
        if result.error:
            console.print(f"{result.name}: {result.error}", style="red", markup=False)


def command(found: Race, repeat: int) -> str:
    """Return the command that repeats one race."""
    names = ",".join(result.name for result in found.results)
    options = f"--rows {found.rows} --shape {found.shape} --peers {names} --repeat {repeat}"
    return f"python -m bench nightly {options}"


def show_streams(found: Streams) -> None:
    """Print the tables, and what was left out or went wrong."""
    console = Console(soft_wrap=True)
    for table in terminals(found):
        console.print(table)
    for text in remarks(found):
        console.print(text, style="red", markup=False)


def write_streams(found: Streams, peers: str, to: Path) -> None:
    """Write the section on streams, with the command that repeats them."""
    rates = " ".join(f"--rate {rate}" for rate in found.rates)
    options = f"{rates} --seconds {found.seconds} --backlog {found.backlog} --peers {peers}"
    write_section(to, "Streams", stream_report.section(found, f"python -m bench stream {options}"))
    say(f"written to {to}")


if __name__ == "__main__":
    app()
