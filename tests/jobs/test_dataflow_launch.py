"""Nights and streams go to a stand-in of Dataflow by the real client; its jobs run here."""

from __future__ import annotations

import json
import re
import tarfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from apache_beam.runners.dataflow.dataflow_runner import DataflowPipelineResult
from apache_beam.utils.retry import Clock
from commands import isopach, refused
from dataflow import BUCKET, Service, sent_options, staged_pipeline
from rich.console import Console
from small_night import assert_same, content

from isopach.feeds.load import load_declaration
from isopach.feeds.produce import main as produce
from isopach.feeds.sales import write_night
from isopach.jobs import dataflow as dataflow_settings
from isopach.jobs.dataflow import DataflowOptions, night_options, stream_options
from isopach.jobs.dataflow_jobs import DataflowError
from isopach.jobs.dataflow_template import _parser, main
from isopach.jobs.delivered import Deliveries
from isopach.jobs.nightly import Options, Summary, run_night
from isopach.jobs.progress import Progress
from isopach.jobs.sending import Following, send_stream
from isopach.jobs.services import OnDataflow
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.pipelines.spool import Spool

DAY = date(2026, 3, 8)
INFRA = Path(__file__).parents[2] / "infra/dataflow"
SALES = load_declaration("sales")


def options(service: Service, folder: Path, **more: Any) -> DataflowOptions:
    """Return settings whose jobs go to a stand-in, with a package that costs nothing to stage."""
    package = folder / "isopach-0.1.0.tar.gz"
    package.write_bytes(b"a package")
    return DataflowOptions.model_validate(
        {
            "project": "acme-nights",
            "region": "europe-west3",
            "temp_location": "gs://acme-temp/dataflow",
            "service_account": "runner@acme-nights.iam.gserviceaccount.com",
            "machine_type": "n2-standard-4",
            "num_workers": 2,
            "max_workers": 7,
            "subnetwork": "regions/europe-west3/subnetworks/inner",
            "labels": {"team": "retail"},
            "packages": [str(package)],
            "endpoint": service.endpoint,
            **more,
        }
    )


def night(folder: Path, lake: str, options: Options) -> Summary:
    silent = Progress(Console(quiet=True))
    landing = Deliveries(Place.of(folder / "landing"))
    return run_night(SALES, landing, Place.of(folder / lake), DAY, options, silent)


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    write_night(tmp_path / "landing", DAY, rows=2000, faults=True)
    return tmp_path


def on_dataflow(settings: DataflowOptions) -> Options:
    beam = tuple(night_options(settings, "sales", DAY))
    return Options(runner="DataflowRunner", memory=None, beam=beam)


def step_names(job: dict[str, Any]) -> set[str]:
    """Return the parts that the names of a job's staged steps are made of."""
    steps = staged_pipeline(job).components.transforms.values()
    return {part for step in steps for part in step.unique_name.split("/")}


@pytest.mark.slow
def test_a_night_that_dataflow_stages_is_the_night_of_this_machine(
    sent: Path, dataflow: Service
) -> None:
    dataflow.runs = True
    there = night(sent, "there", on_dataflow(options(dataflow, sent)))
    here = night(sent, "here", Options())
    assert there.outcome == here.outcome == "held"
    assert there.read == here.read > 0
    assert_same(content(Place.of(sent / "there"), SALES), content(Place.of(sent / "here"), SALES))
    runs = scan(Place.of(sent / "there"), tables.RUNS).collect()
    assert runs["engine"].to_list() == ["DataflowRunner"]
    (job,) = dataflow.jobs
    check_request(job)


@pytest.mark.slow
def test_a_night_is_compared_with_its_stream_there_as_well(sent: Path, dataflow: Service) -> None:
    dataflow.runs = True
    produce(["--date", f"{DAY}", "--rows", "2000", "--faults", "--to", f"spool:{sent / 'spool'}"])
    for lake in ("there", "here"):
        stream = ["stream", "sales", "--source", f"spool:{sent / 'spool'}", "--until-idle"]
        assert isopach(*stream, "--lake", sent / lake).code == 0
    there = night(sent, "there", on_dataflow(options(dataflow, sent)))
    here = night(sent, "here", Options())
    assert (there.compared, there.differing) == (here.compared, here.differing)
    assert there.causes == here.causes != {}
    first, second = dataflow.jobs
    assert first["name"] == second["name"]
    assert "Stage groups" in step_names(first)
    assert "Stage groups" not in step_names(second)


def check_request(job: dict[str, Any]) -> None:
    """Assert that a job is the night's, on the machines that were asked for, and tells nothing."""
    assert job["name"] == "isopach-nightly-sales-20260308"
    assert job["type"] == "JOB_TYPE_BATCH"
    assert job["labels"] == {
        "team": "retail",
        "isopach-command": "nightly",
        "isopach-feed": "sales",
        "isopach-date": "2026-03-08",
    }
    environment = job["environment"]
    assert environment["serviceAccountEmail"] == "runner@acme-nights.iam.gserviceaccount.com"
    (pool,) = environment["workerPools"]
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert pool["machineType"] == "n2-standard-4"
    assert pool["numWorkers"] == 2
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 7
    assert pool["subnetwork"] == "regions/europe-west3/subnetworks/inner"
    assert step_names(job) >= {"Read", "Prepare", "Salt", "Group", "Stage groups", "Describe"}
    text = json.dumps(sent_options(job)).lower()
    assert not [word for word in ("password", "secret", "private", "begin") if word in text]


def test_what_fails_there_fails_here_and_nothing_is_left(
    sent: Path, dataflow: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The stand-in's jobs would run here, where the addresses of this machine can be read.
    monkeypatch.setattr(OnDataflow, "check_place", lambda *_: None)
    dataflow.fails = "Workflow failed: the quota of CPUs in europe-west3 is used up"
    command = ["submit", "nightly", "sales", "--on", "dataflow", "--date", str(DAY)]
    where = ["--landing", sent / "landing", "--lake", sent / "lake"]
    result = isopach(*command, *where, "--settings", written(options(dataflow, sent), sent))
    assert (result.code, result.out) == (1, "")
    said = result.err.strip().splitlines()[-1]
    assert said.startswith("job isopach-nightly-sales-20260308 failed: ")
    assert dataflow.fails in said
    assert said.endswith("/dataflow/jobs/europe-west3/2026-1?project=acme-nights")
    (outcome,) = scan(Place.of(sent / "lake"), tables.RUNS).collect()["outcome"]
    assert outcome.startswith("failed: DataflowError: job isopach-nightly")
    assert not scan(Place.of(sent / "lake"), tables.WINDOWS).collect().height
    assert not list(sent.glob("lake/sales/_staging/*"))


def written(settings: DataflowOptions, folder: Path) -> Path:
    """Write settings to a file."""
    path = folder / "dataflow.yaml"
    path.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_none=True)))
    return path


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (409, r"job \S+ runs already, so nothing was sent: wait for it, or cancel it"),
        (403, r"job \S+: 403 .*is the API enabled in acme-nights, and may you use it\?"),
        (401, r"job \S+: nobody is signed in .*: gcloud auth application-default login"),
    ],
)
def test_a_job_that_is_refused_is_told(
    sent: Path, dataflow: Service, monkeypatch: pytest.MonkeyPatch, status: int, message: str
) -> None:
    monkeypatch.setattr(Clock, "sleep", lambda *_: None)  # half a minute: Beam tries 401 again
    dataflow.refuses = status
    with pytest.raises(DataflowError, match=message):
        night(sent, "lake", on_dataflow(options(dataflow, sent)))


def test_a_package_that_cannot_be_built_is_told(
    sent: Path, dataflow: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = sent / "broken" / "pyproject.toml"
    broken.parent.mkdir()
    broken.write_text("[project]\nname = 1\n")
    monkeypatch.setattr(dataflow_settings, "SETUP_FILE", broken)
    with pytest.raises(DataflowError, match="could not be staged: Failed to build package"):
        night(sent, "lake", on_dataflow(options(dataflow, sent, packages=[])))
    assert dataflow.requests == []


def test_a_job_that_nobody_waits_for_is_cancelled(
    sent: Path, dataflow: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: DataflowPipelineResult) -> None:
        raise KeyboardInterrupt

    dataflow.state = "JOB_STATE_RUNNING"
    monkeypatch.setattr(DataflowPipelineResult, "wait_until_finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        night(sent, "lake", on_dataflow(options(dataflow, sent)))
    assert [update["requestedState"] for update in dataflow.updates] == ["JOB_STATE_CANCELLED"]
    assert not list(sent.glob("lake/sales/_staging/*"))


def test_a_stream_is_sent_and_left_to_itself(tmp_path: Path, dataflow: Service) -> None:
    write_events(tmp_path / "spool/sales/0")
    lake = Place.of(tmp_path / "lake")
    log = Spool(tmp_path / "spool", "sales")
    following = Following(SALES, log, lake, timedelta(seconds=1), timedelta(seconds=60), {})
    sent = send_stream(
        following, "DataflowRunner", stream_options(options(dataflow, tmp_path), "sales")
    )
    assert (sent.job, sent.job_name) == ("2026-1", "isopach-stream-sales")
    (job,) = dataflow.jobs
    assert job["type"] == "JOB_TYPE_STREAMING"
    assert "enable_streaming_engine" in job["environment"]["experiments"]
    assert step_names(job) >= {"Find sources", "Follow", "Land", "Count sites", "Show panes"}
    (run,) = scan(lake, tables.RUNS).collect().iter_rows(named=True)
    assert (run["run"], run["outcome"]) == (sent.run, "running")
    assert run["process"] == "dataflow:europe-west3/2026-1"


def write_events(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f"{0:020}.jsonl").write_text("{}\n")


def test_a_launcher_makes_the_job_and_sends_none(tmp_path: Path, dataflow: Service) -> None:
    write_events(tmp_path / "spool/sales/0")
    where = [f"--source=spool:{tmp_path / 'spool'}", f"--lake={tmp_path / 'lake'}"]
    beam = stream_options(options(dataflow, tmp_path), "sales")
    template = f"--template_location=gs://{BUCKET}/launch/job_object"
    main(["--feed=sales", *where, "--every=500ms", *beam, template])
    assert dataflow.requests == []
    made = json.loads(blobs()["job_object"].download_as_bytes())
    assert step_names(made) >= {"Follow", "Land"}
    (run,) = scan(Place.of(tmp_path / "lake"), tables.RUNS).collect().iter_rows(named=True)
    assert run["process"] == "dataflow:europe-west3/isopach-stream-sales"


def blobs() -> dict[str, Any]:
    """Return what is in the bucket, by its last name."""
    from google.cloud import storage

    bucket = storage.Client.create_anonymous_client().bucket(BUCKET)
    return {Path(blob.name).name: blob for blob in bucket.list_blobs()}


@pytest.mark.slow
def test_isopach_itself_is_staged_from_its_sources(
    sent: Path, dataflow: Service, tmp_path: Path
) -> None:
    dataflow.fails = "enough"
    with pytest.raises(DataflowError, match="enough"):
        night(sent, "lake", on_dataflow(options(dataflow, sent, packages=[])))
    staged = blobs()
    assert "pipeline.pb" in staged
    staged["workflow.tar.gz"].download_to_filename(tmp_path / "workflow.tar.gz")
    with tarfile.open(tmp_path / "workflow.tar.gz") as package:
        names = {name.partition("/")[2] for name in package.getnames()}
    assert {"isopach/pipelines/nightly.py", "isopach/feeds/sales.yaml"} <= names


def test_a_template_is_launched(tmp_path: Path, dataflow: Service) -> None:
    image = "registry.example/acme-nights/isopach/stream:0.1.0"
    settings = options(dataflow, tmp_path, packages=[], container_image=image)
    path = written(settings, tmp_path)
    asked = ["--settings", path, "--source", "kafka:b1:9093/sales", "--lake", "gs://lake/nights"]
    template = ["--template", "gs://acme-temp/stream/spec.json", "--json"]
    command = ["submit", "stream", "sales", "--on", "dataflow", *asked, *template]
    request = isopach(*command, "--dry-run").document
    assert dataflow.requests == []
    launched = isopach(*command).document
    assert (launched["job"], launched["job_name"]) == ("2026-launched", "isopach-stream-sales")
    ((method, where),) = dataflow.requests
    assert method == "POST"
    assert where == "/v1b3/projects/acme-nights/locations/europe-west3/flexTemplates:launch"
    ((body),) = dataflow.launches
    sent = body["launchParameter"]
    assert sent["containerSpecGcsPath"] == "gs://acme-temp/stream/spec.json"
    assert sent["parameters"] == request["launchParameter"]["parameters"]
    assert sent["environment"]["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert sent["environment"]["sdkContainerImage"] == image
    assert sent["environment"]["maxWorkers"] == 7
    check_parameters(sent["parameters"])


def check_parameters(parameters: dict[str, str]) -> None:
    """Assert that parameters are those that the template's metadata asks for."""
    known = {one.name: one for one in container_spec().metadata.parameters}
    assert parameters.keys() <= known.keys()
    assert {name for name, one in known.items() if not one.is_optional} <= parameters.keys()
    for name, text in parameters.items():
        assert all(re.fullmatch(regex, text) for regex in known[name].regexes), name


def container_spec() -> Any:
    from google.cloud.dataflow_v1beta3 import ContainerSpec

    return ContainerSpec.from_json((INFRA / "spec.json").read_text())


def test_the_container_spec_is_one_and_has_the_metadata() -> None:
    spec = container_spec()
    assert spec.sdk_info.language.name == "PYTHON"
    metadata = json.loads((INFRA / "metadata.json").read_text())
    assert json.loads((INFRA / "spec.json").read_text())["metadata"] == metadata
    assert {one.name for one in spec.metadata.parameters} == {
        action.dest for action in _parser()._actions if action.dest != "help"
    }


def test_bad_settings_send_nothing(sent: Path, dataflow: Service) -> None:
    path = sent / "dataflow.yaml"
    path.write_text("project: acme-nights\nregion: moon\ntemp_location: gs://acme-temp/x\n")
    where = ["--landing", "gs://sent/landing", "--lake", "gs://lake/nights"]
    command = ["submit", "nightly", "sales", "--on", "dataflow", "--settings", path, *where]
    said = refused(isopach(*command, "--date", "2026-03-08"), 2)
    assert said == f"{path}:2: region: 'moon': must be a region, as in europe-west3"
    assert dataflow.requests == []
