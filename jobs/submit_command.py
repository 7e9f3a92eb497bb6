"""The commands `isopach submit nightly` and `isopach submit stream`."""

from __future__ import annotations

import json
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
    bad_usage,
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
from isopach.jobs.services import Job, OnDataflow, job_name_of, service_of
from isopach.jobs.submissions import changes_of, sound_declaration

if TYPE_CHECKING:
    from isopach.jobs.dataflow import DataflowOptions

NIGHTLY_EXAMPLES = (
    "isopach submit nightly sales --on spark --master spark://head:7077 --landing /mnt/landing"
    " --date 2026-03-08 --lake /mnt/lake\n\n"
    "isopach submit nightly sales --on spark --settings spark.yaml --set executors=8"
    " --landing s3://sent/landing --date 2026-03-08 --lake s3://lake/sales --dry-run\n\n"
    "isopach submit nightly sales --on flink --master head:8081 --landing /mnt/landing"
    " --date 2026-03-08 --lake /mnt/lake\n\n"
    "isopach submit nightly sales --on dataflow --settings dataflow.yaml --landing gs://sent/landing"
    " --date 2026-03-08 --lake gs://lake/sales --dry-run"
)
STREAM_EXAMPLES = (
    "isopach submit stream sales --on flink --master head:8081 --set parallelism=4"
    " --source kafka:b1:9093/sales --lake /mnt/lake\n\n"
    "isopach submit stream sales --on dataflow --settings dataflow.yaml"
    " --source kafka:b1:9093/sales --lake gs://lake/sales --set max_workers=4"
)

app = typer.Typer(
    no_args_is_help=True, help="Run a night or a stream on a service; checked before it is sent."
)

On = Annotated[str, typer.Option("--on", metavar="dataflow|flink|spark", help="The service.")]
Settings = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="YAML: where the service is, on what machines, …"),
]
Master = Annotated[
    str | None,
    typer.Option(help="Of Spark, or Flink's REST address, in place of the settings'."),
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
    lake: Lake,
    day: Annotated[
        str, typer.Option("--date", metavar="DATE", help="YYYY-MM-DD, or FROM..TO, both included.")
    ],
    settings: Settings = None,
    master: Master = None,
    landing: Landing = None,
    source: Source = None,
    source_settings: SourceSettings = None,
    site: Sites = None,
    changes: Changes = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Stage a night on the service; audit and publish it from here when the job has ended."""
    days = days_of(day)
    one_input(landing, source)
    service = service_of(on, settings, changes_of(changes, master))
    declaration = sound_declaration(feed)
    check_sites(declaration, site)
    service.check_place("--lake", lake)
    if landing is not None:
        service.check_place("--landing", landing)
    if source is not None:
        service.check_source(source)
    name = declaration.feed.feed
    nights = [(one, service.night(name, one)) for one in days]
    if dry_run:
        _show([_request("nightly", job) for _, job in nights], as_json)
        return
    from isopach.jobs.nightly import Options

    only = frozenset(site) if site else None
    with explained(err):
        service.check_ready()
        given = input_of(landing, source, source_settings, declaration)
    runs = [(one, Options(only, job.runner, None, job.beam)) for one, job in nights]
    run_nights(declaration, given, lake, runs, as_json)


@app.command(epilog=STREAM_EXAMPLES)
def stream(
    feed: FeedName,
    on: On,
    source: Annotated[str, typer.Option(help="kafka:BROKERS/TOPIC.")],
    lake: Lake,
    settings: Settings = None,
    master: Master = None,
    every: Annotated[str, typer.Option(help="From one commit to the next.")] = "1s",
    idle_after: Annotated[
        str, typer.Option(help="After how long without rows a source's watermark is the clock's.")
    ] = "60s",
    source_settings: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Settings of the Kafka client; at this path on workers."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(metavar="gs://…/spec.json", help="Launch this flex template of Dataflow."),
    ] = None,
    changes: Changes = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send the job of a stream, which lands events until it is drained or cancelled there."""
    interval, idle = seconds_of("--every", every), seconds_of("--idle-after", idle_after)
    service = service_of(on, settings, changes_of(changes, master))
    declaration = sound_declaration(feed)
    service.check_place("--lake", lake)
    service.check_source(source)
    name = declaration.feed.feed
    job = service.stream(name)
    parameters = {
        "feed": feed,
        "source": source,
        "lake": lake,
        "every": every,
        "idle_after": idle_after,
        **({"source_settings": source_settings} if source_settings else {}),
    }
    if template is not None:
        if not isinstance(service, OnDataflow):
            bad_usage("--template", template, "is Dataflow's; leave it out")
        service.check_place("--template", template)
        _launch(template, service.options, parameters, name, dry_run, as_json)
        return
    if dry_run:
        _show([_request("stream", job)], as_json)
        return
    from isopach.jobs.sending import Following, send_stream
    from isopach.pipelines.sources import open_log

    declared = {"feed": json.loads(declaration.feed.model_dump_json()), "source": source}
    with explained(err):
        service.check_ready()
        log = open_log(source, name, source_settings)
        following = Following(declaration, log, place_of(lake), interval, idle, declared)
        sent = send_stream(following, job.runner, job.beam)
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

    with explained(err):
        request = launch_request(template, options, parameters, feed)
        if dry_run:
            _show([{"command": "stream", "template": template, **shown(request)}], as_json)
        else:
            _tell(launch(options, request), as_json)


def _request(command: str, job: Job) -> dict[str, Any]:
    """Return what would be sent."""
    return {
        "command": command,
        "job_name": job_name_of(job.beam),
        "beam": list(job.beam),
        **job.told,
    }


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
