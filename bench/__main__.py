"""`python -m bench nightly` races the peers on one night, `python -m bench all` on every kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.night import FEWEST, Shape
from bench.peer import ALL, Peer, named
from bench.race import race, warm_up
from bench.report import page
from bench.result import Race
from bench.table import terminal

SHAPES: tuple[Shape, ...] = ("uniform", "zipf", "hot")
RESULTS = Path(__file__).with_name("RESULTS.md")
EVERYONE = ",".join(peer.name for peer in ALL)

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
progress = Console(stderr=True, highlight=False, soft_wrap=True)

Repeat = Annotated[int, typer.Option(min=1, help="Runs of each peer; the median counts.")]
Peers = Annotated[str, typer.Option(help="Comma-separated names.")]


def say(text: str) -> None:
    """Print a line of progress on stderr."""
    progress.print(text, markup=False, style="dim")


def chosen(names: str) -> list[Peer]:
    """Return the peers asked for; an unknown name is bad usage."""
    try:
        return named(names)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--peers") from error


@app.command()
def nightly(
    rows: Annotated[int, typer.Option(min=FEWEST)] = 1_000_000,
    shape: Shape = "zipf",
    peers: Peers = EVERYONE,
    repeat: Repeat = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
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


@app.command(name="all")
def everything(
    rows: Annotated[list[int], typer.Option(min=FEWEST)] = [1_000_000, 10_000_000],  # noqa: B006
    flat_rows: Annotated[
        int, typer.Option(min=FEWEST, help="The large night that isopach does alone.")
    ] = 30_000_000,
    peers: Peers = EVERYONE,
    repeat: Repeat = 1,
    to: Annotated[Path, typer.Option(help="Where the page of results goes.")] = RESULTS,
) -> None:
    """Race on every size and shape, and write the page of results."""
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
    to.write_text(page(races, [command(one, repeat) for one in races]), encoding="utf-8")
    say(f"written to {to}")
    raise typer.Exit(0 if all(one.equal for one in races) else 1)


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


if __name__ == "__main__":
    app()
