"""The command `isopach stream`."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from isopach.jobs.arguments import (
    FeedName,
    Json,
    Lake,
    bad_usage,
    check_runner,
    declaration_of,
    err,
    out,
    place_of,
    seconds_of,
)
from isopach.jobs.failures import DONE, FAILED, HELD, explained

EXAMPLES = (
    "isopach stream sales --source spool:spool --lake lake\n\n"
    "isopach stream sales --source spool:spool --lake lake --until-idle\n\n"
    "isopach stream sales --source kafka:localhost:9092/sales --lake lake --every 500ms\n\n"
    "isopach stream sales --source spool:spool --lake lake --cadence continuous --engine flink\n\n"
    "isopach stream sales --source kafka:b1:9093,b2:9093/sales --source-settings sasl.properties"
    " --lake s3://lake --metrics 0.0.0.0:9464 --log json"
)


def stream(
    feed: FeedName,
    source: Annotated[str, typer.Option(help="spool:DIR, or kafka:BROKERS/TOPIC.")],
    lake: Lake,
    cadence: Annotated[
        Literal["micro-batch", "continuous"],
        typer.Option(help="Bounded pipelines again and again, or one without end on an engine."),
    ] = "micro-batch",
    every: Annotated[
        str | None,
        typer.Option(help="From one commit to the next; 1s for micro-batch, 500ms for continuous."),
    ] = None,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when everything there is has landed.")
    ] = False,
    rows: Annotated[
        int, typer.Option(min=1, help="What one micro-batch reads at most, about.")
    ] = 1_000_000,
    idle_after: Annotated[
        str, typer.Option(help="After how long without rows a source's watermark is the clock's.")
    ] = "60s",
    source_settings: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Settings of the Kafka client, key=value lines."),
    ] = None,
    runner: Annotated[str, typer.Option(help="Beam runner of micro-batches.")] = "FnApiRunner",
    engine: Annotated[
        str,
        typer.Option(
            metavar="prism|flink|flink:HOST:PORT|HOST:PORT",
            help="Of continuous: one that is started here, a Flink cluster, or a job server.",
        ),
    ] = "prism",
    parallelism: Annotated[int, typer.Option(min=1, help="Of continuous on Flink.")] = 1,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="[HOST:]PORT", help="Serve Prometheus metrics there."),
    ] = None,
    log: Annotated[
        Literal["text", "json"], typer.Option(help="How to log; json also logs each landing.")
    ] = "text",
    as_json: Json = False,
) -> None:
    """Land a feed's events as they come, each row once; Ctrl-C lands what was read and ends."""
    default = "1s" if cadence == "micro-batch" else "500ms"
    interval, idle = seconds_of("--every", every or default), seconds_of("--idle-after", idle_after)
    declaration = declaration_of(feed)
    check_runner(runner)
    from isopach.jobs import continuous, micro_batches, show
    from isopach.jobs.live import Live
    from isopach.jobs.runners import started
    from isopach.jobs.stream import run_stream
    from isopach.pipelines.sources import open_log

    if log == "json":
        log_as_json()
    if metrics is not None:
        _serve_metrics(metrics)
    ready: AbstractContextManager[micro_batches.Options | continuous.Options] = (
        started(micro_batches.Options(interval, until_idle, rows, idle, runner))
        if cadence == "micro-batch"
        else nullcontext(continuous.Options(engine, interval, until_idle, idle, parallelism))
    )
    parameters = {"feed": json.loads(declaration.feed.model_dump_json()), "source": source}
    with explained(err):
        events = open_log(source, declaration.feed.feed, source_settings)
        with ready as options, Live(err, declaration.feed.feed):
            done = run_stream(declaration, events, place_of(lake), options, parameters)
    if as_json:
        print(json.dumps(asdict(done)))
    else:
        show.stream(out, done)
    sys.exit(FAILED if done.stuck else HELD if done.outcome == "paused" else DONE)


def log_as_json() -> None:
    """Log one JSON object a line on stderr: what happens in a stream, and all warnings."""
    from pythonjsonlogger.json import JsonFormatter

    handler = logging.StreamHandler()
    fields = "%(asctime)s %(levelname)s %(name)s %(message)s"
    handler.setFormatter(
        JsonFormatter(fields, rename_fields={"asctime": "time", "levelname": "level"})
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("isopach").setLevel(logging.INFO)


def _serve_metrics(address: str) -> None:
    from prometheus_client import start_http_server

    host, colon, port = address.rpartition(":")
    if not port.isdigit() or not 0 <= int(port) < 1 << 16 or (colon and not host):
        bad_usage("--metrics", address, "is not a place to serve at; write 9464 or 0.0.0.0:9464")
    try:
        start_http_server(int(port), host or "127.0.0.1")
    except OSError as error:
        bad_usage("--metrics", address, f"cannot be served at: {error.strerror or error}")
