"""The commands `isopach submit nightly` and `isopach submit stream`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isopach.jobs.arguments import (
    FeedName,
    Json,
    Lake,
    Landing,
    Sites,
    Source,
    SourceSettings,
    check_sites,
    days_of,
    err,
    input_of,
    one_input,
    out,
    place_of,
    seconds_of,
)
from isopach.jobs.failures import explained
from isopach.jobs.nightly_command import run_nights
from isopach.jobs.submissions import (
    check_reachable,
    check_service,
    check_source,
    options_of,
    sound_declaration,
)

if TYPE_CHECKING:
    from isopach.jobs.dataflow import DataflowOptions

NIGHTLY_EXAMPLES = (
    "isopach submit nightly sales --on dataflow --settings dataflow.yaml --landing gs://sent/landing"
    " --date 2026-03-08 --lake gs://lake/sales --dry-run"
)
STREAM_EXAMPLES = (
    "isopach submit stream sales --on dataflow --settings dataflow.yaml"
    " --source kafka:b1:9093/sales --lake gs://lake/sales --set max_workers=4"
)

app = typer.Typer(
    no_args_is_help=True, help="Run a night or a stream on a service; checked before it is sent."
)

On = Annotated[str, typer.Option("--on", metavar="dataflow", help="The service.")]
Settings = Annotated[
    Path, typer.Option(metavar="FILE", help="YAML: project, region, temp_location, machines …")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting, in place of the file's."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check all, print what would be sent, send nothing.")
]


@app.command(epilog=NIGHTLY_EXAMPLES)
def nightly(
    feed: FeedName,
    on: On,
    settings: Settings,
    lake: Lake,
    day: Annotated[
        str, typer.Option("--date", metavar="DATE", help="YYYY-MM-DD, or FROM..TO, both included.")
    ],
    landing: Landing = None,
    source: Source = None,
    source_settings: SourceSettings = None,
    site: Sites = None,
    changes: Changes = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Stage a night on the service; audit and publish it from here when the job has ended."""
    check_service(on)
    days = days_of(day)
    one_input(landing, source)
    declaration = sound_declaration(feed)
    check_sites(declaration, site)
    check_reachable("--lake", lake)
    if landing is not None:
        check_reachable("--landing", landing)
    options = options_of(settings, changes)
    if source is not None:
        check_source(source, options)
    from isopach.jobs.dataflow import night_options

    name = declaration.feed.feed
    nights = [(one, night_options(options, name, one)) for one in days]
    if dry_run:
        _show([_request("nightly", options, beam) for _, beam in nights], as_json)
        return
    from isopach.jobs.dataflow_jobs import check_installed
    from isopach.jobs.nightly import Options

    only = frozenset(site) if site else None
    with explained(err):
        check_installed()
        given = input_of(landing, source, source_settings, declaration)
    runs = [(one, Options(only, "DataflowRunner", None, tuple(beam))) for one, beam in nights]
    run_nights(declaration, given, lake, runs, as_json)


@app.command(epilog=STREAM_EXAMPLES)
def stream(
    feed: FeedName,
    on: On,
    settings: Settings,
    source: Annotated[str, typer.Option(help="kafka:BROKERS/TOPIC.")],
    lake: Lake,
    every: Annotated[str, typer.Option(help="From one commit to the next.")] = "1s",
    idle_after: Annotated[
        str, typer.Option(help="After how long without rows a source's watermark is the clock's.")
    ] = "60s",
    source_settings: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Settings of the Kafka client; the same path in container_image."
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(metavar="gs://…/spec.json", help="Launch this flex template instead."),
    ] = None,
    changes: Changes = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send the job of a stream, which lands events until it is drained or cancelled there."""
    check_service(on)
    interval, idle = seconds_of("--every", every), seconds_of("--idle-after", idle_after)
    declaration = sound_declaration(feed)
    check_reachable("--lake", lake)
    options = options_of(settings, changes)
    check_source(source, options)
    from isopach.jobs.dataflow import stream_options

    name = declaration.feed.feed
    beam = stream_options(options, name)
    parameters = {
        "feed": feed,
        "source": source,
        "lake": lake,
        "every": every,
        "idle_after": idle_after,
        **({"source_settings": source_settings} if source_settings else {}),
    }
    if template is not None:
        _launch(template, options, parameters, name, dry_run, as_json)
        return
    if dry_run:
        _show([_request("stream", options, beam)], as_json)
        return
    from isopach.jobs.dataflow_jobs import check_installed
    from isopach.jobs.dataflow_stream import Following, send_stream
    from isopach.pipelines.sources import open_log

    declared = {"feed": json.loads(declaration.feed.model_dump_json()), "source": source}
    with explained(err):
        check_installed()
        log = open_log(source, name, source_settings)
        following = Following(declaration, log, place_of(lake), interval, idle, declared)
        sent = send_stream(following, beam)
    _tell(asdict(sent), as_json)


def _launch(
    template: str,
    options: DataflowOptions,
    parameters: dict[str, str],
    feed: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Launch a flex template, or print the request."""
    from isopach.jobs.dataflow_template import launch, launch_request, shown

    check_reachable("--template", template)
    with explained(err):
        request = launch_request(template, options, parameters, feed)
        if dry_run:
            _show([{"command": "stream", "template": template, **shown(request)}], as_json)
        else:
            _tell(launch(options, request), as_json)


def _request(command: str, options: DataflowOptions, beam: Sequence[str]) -> dict[str, Any]:
    """Return what would be sent."""
    name = next(one for one in beam if one.startswith("--job_name=")).partition("=")[2]
    return {"command": command, "job_name": name, "beam": list(beam), "staged": options.staged}


def _show(requests: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(requests[0] if len(requests) == 1 else {"requests": requests}))
        return
    for request in requests:
        for name, value in request.items():
            lines = value if isinstance(value, list) else [value]
            for line in lines or ["nothing"]:
                out.print(f"{name}: {line}", markup=False, highlight=False)
    out.print("nothing was sent", style="yellow")


def _tell(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(document))
    else:
        for name, value in document.items():
            out.print(f"{name}: {value}", markup=False, highlight=False)
