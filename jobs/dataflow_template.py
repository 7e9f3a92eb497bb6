"""Flex templates: launch the stream's, and be what its launcher starts."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from isopach.jobs.dataflow import DataflowOptions, labels_of
from isopach.jobs.dataflow_jobs import check_installed, console_of, told
from isopach.jobs.settings import job_name


def launch_request(
    template: str, options: DataflowOptions, parameters: Mapping[str, str], feed: str
) -> Any:
    """Return the request that launches a template, as the client takes it; raises DataflowError.

    Args:
        template: the address of the container spec, gs://….
        parameters: by the names in the template's metadata.
    """
    check_installed()
    from google.cloud.dataflow_v1beta3 import (
        FlexTemplateRuntimeEnvironment,
        LaunchFlexTemplateParameter,
        LaunchFlexTemplateRequest,
    )

    public = "WORKER_IP_PUBLIC" if options.use_public_ips else "WORKER_IP_PRIVATE"
    none = options.autoscaling == "none"
    environment = FlexTemplateRuntimeEnvironment(
        num_workers=options.num_workers,
        max_workers=options.max_workers,
        service_account_email=options.service_account,
        temp_location=options.temp_location,
        staging_location=options.staging_location or options.temp_location,
        machine_type=options.machine_type,
        additional_experiments=list(options.experiments),
        network=options.network,
        subnetwork=options.subnetwork,
        additional_user_labels=labels_of(options, {"command": "stream", "feed": feed}),
        kms_key_name=options.kms_key,
        ip_configuration=public,
        worker_zone=options.worker_zone,
        enable_streaming_engine=True,
        sdk_container_image=options.container_image,
        disk_size_gb=options.disk_size_gb,
        autoscaling_algorithm=f"AUTOSCALING_ALGORITHM_{'NONE' if none else 'BASIC'}",
    )
    return LaunchFlexTemplateRequest(
        project_id=options.project,
        location=options.region,
        launch_parameter=LaunchFlexTemplateParameter(
            job_name=options.job_name or job_name("stream", feed),
            container_spec_gcs_path=template,
            parameters=dict(parameters),
            environment=environment,
        ),
    )


def launch(options: DataflowOptions, request: Any) -> dict[str, Any]:
    """Launch a template, and return which job that is; raises DataflowError."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.dataflow_v1beta3 import FlexTemplatesServiceClient

    with told(request.launch_parameter.job_name, options.project, options.region):
        client = FlexTemplatesServiceClient(
            transport="rest",
            client_options={"api_endpoint": options.endpoint} if options.endpoint else None,
            credentials=AnonymousCredentials() if options.local else None,
        )
        job = client.launch_flex_template(request).job
    where = console_of(options.project, options.region, job.id)
    return {"job": job.id, "job_name": job.name, "console": where}


def shown(request: Any) -> dict[str, Any]:
    """Return a request as it is sent: JSON without what is not set."""
    sent: dict[str, Any] = json.loads(type(request).to_json(request, use_integers_for_enums=False))
    return _without_empty(sent)


def _without_empty(value: dict[str, Any]) -> dict[str, Any]:
    inner = {k: _without_empty(v) if isinstance(v, dict) else v for k, v in value.items()}
    unset = ("_UNSPECIFIED", "_DEFAULT", "_UNKNOWN")
    return {name: one for name, one in inner.items() if one and not str(one).endswith(unset)}


def main(argv: Sequence[str] | None = None) -> None:
    """Make the stream's job for the launcher; other arguments are Beam's, as the launcher's are."""
    from isopach.feeds.load import load_declaration
    from isopach.jobs.arguments import place_of, seconds_of
    from isopach.jobs.sending import Following, send_stream
    from isopach.pipelines.sources import open_log

    given, beam = _parser().parse_known_args(argv)
    declaration = load_declaration(given.feed)
    following = Following(
        declaration,
        open_log(given.source, declaration.feed.feed, given.source_settings),
        place_of(given.lake),
        seconds_of("--every", given.every),
        seconds_of("--idle_after", given.idle_after),
        {"feed": json.loads(declaration.feed.model_dump_json()), "source": given.source},
    )
    beam = [*beam, "--streaming", "--sdk_location=container"]
    sent = send_stream(following, "DataflowRunner", beam)
    print(json.dumps(asdict(sent)), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("feed", "source", "lake"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--every", default="1s")
    parser.add_argument("--idle_after", default="60s")
    parser.add_argument("--source_settings")
    return parser
