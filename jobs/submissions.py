"""What is checked of a submission before anything is sent; bad ones end with exit code 2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isopach.jobs.arguments import bad_usage, declaration_of, err, place_of
from isopach.jobs.failures import explained

if TYPE_CHECKING:
    from isopach.feeds.load import Declaration
    from isopach.jobs.dataflow import DataflowOptions

SERVICES = ("dataflow",)
LATER = ("spark", "flink")


def sound_declaration(feed: str) -> Declaration:
    """Return a feed whose suites can be held against it as well: workers would find out late."""
    from isopach.expectations.checking import check_suites

    declaration = declaration_of(feed)
    with explained(err):
        check_suites(declaration)
    return declaration


def check_service(name: str) -> None:
    """End with a message for a service that nothing can be sent to."""
    if name in LATER:
        bad_usage("--on", name, f"is to come; for now give {', '.join(SERVICES)}")
    if name not in SERVICES:
        bad_usage("--on", name, f"is no service; give {', '.join(SERVICES)}")


def check_reachable(option: str, address: str) -> None:
    """End with a message where workers in the cloud cannot come to an address."""
    with explained(err):
        place = place_of(address)
    if not place.uri.startswith("gs://"):
        bad_usage(option, address, "is not where Dataflow's workers can read; give gs://…")


def check_source(source: str, options: DataflowOptions) -> None:
    """End with a message for a source that workers cannot read, or not with their packages."""
    if not source.startswith("kafka:"):
        bad_usage(
            "--source", source, "is not where Dataflow's workers can read; give kafka:BROKERS/TOPIC"
        )
    if options.container_image is None:
        bad_usage("--source", source, "needs container_image, with isopach[kafka] in it")


def options_of(path: Path, changes: Sequence[str] | None) -> DataflowOptions:
    """Return checked settings; a change of no known form ends with a message."""
    import yaml

    from isopach.jobs.dataflow import load_options

    given: dict[str, Any] = {}
    for change in changes or ():
        name, equals, text = change.partition("=")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        if not equals or not name:
            bad_usage("--set", change, "is not NAME=VALUE")
        given[name] = value
    with explained(err):
        return load_options(path, given)
