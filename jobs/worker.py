"""A worker of Beam's Python SDK, as an engine's machines start it: no Docker, nothing to build.

Engines call it by the contract of Beam's containers
(https://beam.apache.org/contribute/runner-guide, "boot"): they give a worker's id, and where it is
told the rest.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

import grpc
from apache_beam.portability.api import (
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    endpoints_pb2,
)
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, text_format

from isopach.jobs.memory import keep_freed, reuse_freed_memory

ANSWER_SECONDS = 60


def main(argv: Sequence[str] | None = None) -> None:
    """Serve an engine until it has no more work."""
    parser = argparse.ArgumentParser(
        prog="isopach-worker",
        description="A worker that an engine (Spark, Flink) starts; it is not run by hand.",
    )
    parser.add_argument("--id", required=True, help="the worker's, as the engine calls it")
    parser.add_argument("--provision_endpoint", required=True, help="HOST:PORT of the engine")
    known, _ = parser.parse_known_args(argv)  # what else there is comes by the provision service
    keep_freed()
    reuse_freed_memory()
    os.environ.update(told(known.id, known.provision_endpoint))
    sdk_worker_main.main([])


def told(worker: str, endpoint: str) -> dict[str, str]:
    """Ask an engine what a worker needs to know; return it as Beam's worker reads it."""
    with grpc.insecure_channel(endpoint) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        info = stub.GetProvisionInfo(
            beam_provision_api_pb2.GetProvisionInfoRequest(),
            metadata=[("worker_id", worker)],
            timeout=ANSWER_SECONDS,
            wait_for_ready=True,
        ).info
    descriptors = {
        "CONTROL_API_SERVICE_DESCRIPTOR": info.control_endpoint,
        "LOGGING_API_SERVICE_DESCRIPTOR": info.logging_endpoint,
        "STATUS_API_SERVICE_DESCRIPTOR": info.status_endpoint,
    }
    return {
        "WORKER_ID": worker,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        **{name: _text(one) for name, one in descriptors.items() if one.url},
    }


def _text(descriptor: endpoints_pb2.ApiServiceDescriptor) -> str:
    return str(text_format.MessageToString(descriptor))


if __name__ == "__main__":
    main()
