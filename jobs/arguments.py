"""What commands are given: feeds, places, dates and amounts; bad ones end with exit code 2."""

from __future__ import annotations

import re
import sys
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.console import Console

from isopach.jobs.failures import BAD_USAGE

if TYPE_CHECKING:
    from isopach.feeds.load import Declaration
    from isopach.jobs.inputs import Input
    from isopach.lake.places import Place

WIDEST = 250
"""How wide a table may be where there is no screen."""

out = Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDEST)
err = Console(stderr=True, soft_wrap=True)

FeedName = Annotated[
    str, typer.Argument(metavar="FEED", help="A feed's name, or the path of its YAML.")
]
Lake = Annotated[
    str, typer.Option("--lake", envvar="ISOPACH_LAKE", help="Folder, s3://… or gs://…")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Day = Annotated[str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="One business date.")]
Sites = Annotated[list[str] | None, typer.Option("--site", help="Only this site; may be repeated.")]
Landing = Annotated[
    str | None, typer.Option(help="The landing zone's root: folder, s3://… or gs://…")
]
Source = Annotated[
    str | None, typer.Option(help="The stream's log: spool:DIR, or kafka:BROKERS/TOPIC.")
]
SourceSettings = Annotated[
    str | None, typer.Option(metavar="FILE", help="Settings of the Kafka client, key=value lines.")
]
EngineName = Literal["delta-rs", "spark"]
"""What works on tables: this process, or Spark."""


def declaration_of(feed: str) -> Declaration:
    from isopach.feeds.errors import DeclarationError
    from isopach.feeds.load import load_declaration

    try:
        return load_declaration(feed)
    except DeclarationError as error:
        for fault in error.faults:
            err.print(str(fault), style="red", markup=False, highlight=False)
        raise typer.Exit(BAD_USAGE) from None


def check_sites(declaration: Declaration, sites: list[str] | None) -> None:
    """End with a message where a site is not registered."""
    for name in sites or ():
        if name not in declaration.sites:
            registry = declaration.path.parent / declaration.feed.sites
            bad_usage("--site", name, f"is not registered in {registry}")


def place_of(address: str) -> Place:
    from isopach.lake.places import Place as Address

    return Address.of(address)


def one_input(landing: str | None, source: str | None) -> None:
    """End with a message unless exactly one of both is given."""
    if landing is None and source is None:
        err.print(
            "give --landing, where deliveries lie, or --source, the stream's log", style="red"
        )
        raise typer.Exit(BAD_USAGE)
    if landing is not None and source is not None:
        bad_usage("--source", source, "cannot be given together with --landing")


def input_of(
    landing: str | None, source: str | None, settings: str | None, declaration: Declaration
) -> Input:
    """Return what a night is run over; raises LogError, PlaceError."""
    from isopach.jobs.delivered import Deliveries
    from isopach.jobs.reread import Events
    from isopach.pipelines.sources import open_log

    if source is None:
        return Deliveries(place_of(landing or ""))
    return Events(open_log(source, declaration.feed.feed, settings), source)


def day_of(text: str | None) -> date | None:
    if text is None:
        return None
    if ".." in text:
        bad_usage("--date", text, "is not one date; write YYYY-MM-DD")
    return days_of(text)[0]


def days_of(text: str) -> list[date]:
    first, dots, last = text.partition("..")
    try:
        start, end = (
            datetime.strptime(t, "%Y-%m-%d").date() for t in (first, last if dots else first)
        )
    except ValueError:
        bad_usage("--date", text, "is not a date; write YYYY-MM-DD, or FROM..TO")
    if end < start:
        bad_usage("--date", text, "ends before it starts")
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def bytes_of(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MG])i?B?", text, re.IGNORECASE)
    if not match or not float(match[1]):
        bad_usage("--memory", text, "is not an amount of memory; write 2GB or 800MB")
    return int(float(match[1]) * (1 << {"M": 20, "G": 30}[match[2].upper()]))


def check_runner(name: str) -> None:
    from apache_beam.runners.runner import create_runner

    try:
        create_runner(name)
    except (ValueError, ImportError) as error:
        bad_usage("--runner", name, f"cannot be used: {error}")


def bad_usage(option: str, value: str, problem: str) -> NoReturn:
    err.print(f"{option}: {value!r} {problem}", style="red", markup=False, highlight=False)
    raise typer.Exit(BAD_USAGE)


def seconds_of(option: str, text: str) -> timedelta:
    """Return a duration such as `1s`, `500ms`, `2m` or `90d`."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)\s*(ms|s|m|h|d)", text)
    if not match:
        bad_usage(option, text, "is not a duration; write 1s, 500ms, 2m or 90d")
    seconds = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
    return timedelta(seconds=float(match[1]) * seconds)
