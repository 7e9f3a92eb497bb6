"""Stand-ins on loopback: the Dataflow API, whose jobs may really run, and Google Cloud Storage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BUCKET = "acme-temp"


@dataclass
class Service:
    """What the API was asked, and what it answers; `runs` jobs before it says that they are done.

    `fails` is a worker's error, `refuses` the status that a job is refused with.
    """

    endpoint: str = ""
    runs: bool = False
    fails: str = ""
    refuses: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    launches: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    state: str = "JOB_STATE_DONE"

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body for a request."""
        if path == "/token":
            return 200, {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}
        self.requests.append((method, path))
        if path.endswith("/flexTemplates:launch"):
            self.launches.append(parsed("LaunchFlexTemplateRequest", body))
            name = body["launchParameter"]["jobName"]
            return 200, {"job": {"id": "2026-launched", "name": name}}
        if path.endswith("/messages"):
            error = {"id": "1", "time": "2026-03-09T00:00:00Z", "messageText": self.fails}
            level = {"messageImportance": "JOB_MESSAGE_ERROR"}
            return 200, {"jobMessages": [error | level] if self.fails else []}
        if method == "POST":
            return self._create(body)
        if method == "PUT":
            self.updates.append(parsed("Job", body))
            self.state = self.updates[-1]["requestedState"]
        return 200, self._job(self.state)

    def credentials(self, path: Path) -> Path:
        """Write a service account's file whose tokens are ours: without one, libraries look for
        a machine's own account in the network, for long."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account",
            "project_id": "acme-nights",
            "private_key_id": "x",
            "private_key": text.decode(),
            "client_email": "tests@acme-nights.iam.gserviceaccount.com",
            "token_uri": f"{self.endpoint}/token",
        }
        path.write_text(json.dumps(account))
        return path

    def _create(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.refuses:
            return self.refuses, {"error": {"code": self.refuses, "message": "refused"}}
        body = parsed("Job", body)
        self.jobs.append(body)
        self.state = "JOB_STATE_FAILED" if self.fails else self.state
        if self.runs:
            run_here(staged_pipeline(body))
        return 200, self._job("JOB_STATE_PENDING")

    def _job(self, state: str) -> dict[str, Any]:
        sent = self.jobs[-1]
        return {
            "id": f"2026-{len(self.jobs)}",
            "name": sent["name"],
            "clientRequestId": sent["clientRequestId"],
            "currentState": state,
        }


def parsed(message: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a body as JSON with the names of enums; fails for what the API does not know."""
    from google.cloud import dataflow_v1beta3

    kind = getattr(dataflow_v1beta3, message)
    found = kind.from_json(json.dumps(body))
    return json.loads(kind.to_json(found, use_integers_for_enums=False))


def sent_options(job: dict[str, Any]) -> dict[str, Any]:
    """Return the pipeline options that travel with a job."""
    return job["environment"]["sdkPipelineOptions"]["options"]


def staged_pipeline(job: dict[str, Any]) -> beam_runner_api_pb2.Pipeline:
    """Return the pipeline that was staged for a job."""
    from google.cloud import storage

    bucket, name = sent_options(job)["pipelineUrl"].removeprefix("gs://").split("/", 1)
    client = storage.Client.create_anonymous_client()
    staged = client.bucket(bucket).blob(name).download_as_bytes()
    return beam_runner_api_pb2.Pipeline.FromString(staged)


def run_here(pipeline: beam_runner_api_pb2.Pipeline) -> None:
    """Run a staged pipeline in this process, as the service's workers would in theirs."""
    for environment in pipeline.components.environments.values():
        environment.urn, environment.payload = python_urns.EMBEDDED_PYTHON, b""
        del environment.dependencies[:]
    FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([])).wait_until_finish()


@contextmanager
def served(service: Service) -> Iterator[Service]:
    """Serve the API of a service on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.partition("?")[0]
            is_json = self.headers.get("content-type", "").startswith("application/json")
            document = json.loads(body) if body and is_json else {}
            status, document = service.answer(self.command, path, document)
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(text)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    service.endpoint = f"http://localhost:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def bucket_served() -> Iterator[str]:
    """Serve an empty bucket on a free port; give the address."""
    from gcp_storage_emulator.server import create_server

    storage = create_server("localhost", 0, in_memory=True, default_bucket=BUCKET)
    storage.start()
    try:
        yield f"http://localhost:{storage._api._httpd.server_address[1]}"
    finally:
        storage.stop()
