"""Settings of Dataflow: what Beam is given, and what is refused before anything is sent."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from commands import isopach, refused
from hypothesis import given
from hypothesis import strategies as st

from isopach.feeds.errors import DeclarationError
from isopach.jobs import dataflow
from isopach.jobs.dataflow import DataflowOptions, load_options, night_options
from isopach.jobs.settings import job_name

DAY = date(2026, 3, 8)
LEAST = {
    "project": "acme-nights",
    "region": "europe-west3",
    "temp_location": "gs://acme-temp/dataflow",
}
IMAGE = "registry.example/acme-nights/isopach/stream:0.1.0"


def settings(folder: Path, **fields: Any) -> Path:
    path = folder / "dataflow.yaml"
    path.write_text(yaml.safe_dump({**LEAST, **fields}, sort_keys=False))
    return path


def night(path: Path, *more: str) -> list[str]:
    """Return the arguments that ask what a night would send."""
    where = ["--landing", "gs://sent/landing", "--lake", "gs://lake/nights"]
    asked = ["submit", "nightly", "sales", "--on", "dataflow", "--settings", str(path)]
    return [*asked, *where, "--date", "2026-03-08", "--dry-run", *more]


def stream(path: Path, *more: str) -> list[str]:
    """Return the arguments that ask what a stream would send."""
    where = ["--source", "kafka:b1:9093/sales", "--lake", "gs://lake/nights"]
    asked = ["submit", "stream", "sales", "--on", "dataflow", "--settings", str(path)]
    return [*asked, *where, "--dry-run", *more]


def test_beam_is_given_a_job_without_public_addresses_and_with_a_bound() -> None:
    found = night_options(DataflowOptions(**LEAST), "sales", DAY)
    assert found == [
        "--runner=DataflowRunner",
        "--project=acme-nights",
        "--region=europe-west3",
        "--job_name=isopach-nightly-sales-20260308",
        "--temp_location=gs://acme-temp/dataflow",
        "--staging_location=gs://acme-temp/dataflow",
        "--max_num_workers=10",
        "--autoscaling_algorithm=THROUGHPUT_BASED",
        "--no_use_public_ips",
        "--labels=isopach-command=nightly",
        "--labels=isopach-feed=sales",
        "--labels=isopach-date=2026-03-08",
        f"--setup_file={dataflow.SETUP_FILE}",
    ]


def test_everything_that_can_be_set_reaches_beam(tmp_path: Path) -> None:
    path = settings(
        tmp_path,
        staging_location="gs://acme-temp/staging",
        service_account="runner@acme-nights.iam.gserviceaccount.com",
        network="inner",
        subnetwork="regions/europe-west3/subnetworks/inner",
        kms_key="projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k",
        use_public_ips=True,
        num_workers=3,
        max_workers=30,
        autoscaling="none",
        machine_type="n2-highmem-8",
        disk_size_gb=200,
        worker_zone="europe-west3-b",
        labels={"team": "retail"},
        job_name="nights",
        experiments=["shuffle_mode=service"],
        container_image=IMAGE,
    )
    document = isopach(*stream(path), "--json").document
    assert document["command"] == "stream"
    assert document["job_name"] == "nights"
    assert document["staged"] == []
    assert document["beam"] == [
        "--runner=DataflowRunner",
        "--project=acme-nights",
        "--region=europe-west3",
        "--job_name=nights",
        "--temp_location=gs://acme-temp/dataflow",
        "--staging_location=gs://acme-temp/staging",
        "--service_account_email=runner@acme-nights.iam.gserviceaccount.com",
        "--network=inner",
        "--subnetwork=regions/europe-west3/subnetworks/inner",
        "--dataflow_kms_key=projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k",
        "--num_workers=3",
        "--max_num_workers=30",
        "--autoscaling_algorithm=NONE",
        "--machine_type=n2-highmem-8",
        "--disk_size_gb=200",
        "--worker_zone=europe-west3-b",
        f"--sdk_container_image={IMAGE}",
        "--use_public_ips",
        "--streaming",
        "--enable_streaming_engine",
        "--labels=team=retail",
        "--labels=isopach-command=stream",
        "--labels=isopach-feed=sales",
        "--experiments=shuffle_mode=service",
        "--sdk_location=container",
    ]


texts = st.text("abcz019-_:.@/=ÄB ", max_size=12)


@given(
    project=st.sampled_from(["acme-nights", "acme.com:nights-1"]) | texts,
    temp=texts.map("gs://{}".format) | st.just("gs://acme-temp/x"),
    name=texts | st.none(),
    workers=st.integers(-1, 5000),
    most=st.integers(-1, 5000),
    label=st.dictionaries(texts, texts, max_size=2),
)
def test_beam_takes_whatever_is_accepted(
    project: str, temp: str, name: str | None, workers: int, most: int, label: dict[str, str]
) -> None:
    fields = {
        **LEAST,
        "project": project,
        "temp_location": temp,
        "job_name": name,
        "num_workers": workers,
        "max_workers": most,
        "labels": label,
    }
    try:
        options = DataflowOptions.model_validate(fields)
    except ValueError:
        return
    beam = PipelineOptions([*night_options(options, "sales", DAY), "--dry_run=True"])
    assert PipelineOptionsValidator(beam, DataflowRunner()).validate() == []


@given(st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=3))
def test_a_job_has_a_name_that_dataflow_takes(parts: list[str]) -> None:
    assert DataflowOptions(**LEAST, job_name=job_name(*parts))


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"project": "12345678"}, "project", "'12345678': must be a project's id"),
        ({"project": "Acme Nights"}, "project", "'Acme Nights': must be a project's id"),
        ({"region": "frankfurt"}, "region", "'frankfurt': must be a region, as in europe-west3"),
        ({"temp_location": "/tmp/x"}, "temp_location", "'/tmp/x': must be a folder in a bucket"),
        ({"temp_location": "gs://b"}, "temp_location", "'gs://b': must be a folder in a bucket"),
        ({"staging_location": "s3://b/c"}, "staging_location", "'s3://b/c': must be a folder"),
        ({"service_account": "me@acme.com"}, "service_account", "must be a service account's"),
        ({"subnetwork": "inner"}, "subnetwork", "must be regions/REGION/subnetworks/NAME"),
        (
            {"subnetwork": "regions/us-east1/subnetworks/inner"},
            "subnetwork",
            "must be in the region, europe-west3",
        ),
        ({"kms_key": "k"}, "kms_key", "must be projects/PROJECT/locations/REGION/"),
        (
            {"kms_key": "projects/p/locations/us-east1/keyRings/r/cryptoKeys/k"},
            "kms_key",
            "must be in the region, europe-west3",
        ),
        ({"worker_zone": "us-east1-b"}, "worker_zone", "must be in the region, europe-west3"),
        ({"use_public_ips": "no"}, "use_public_ips", "'no': Input should be a valid boolean"),
        ({"max_workers": 0}, "max_workers", "0: Input should be greater than or equal to 1"),
        ({"max_workers": "4"}, "max_workers", "'4': Input should be a valid integer"),
        ({"num_workers": 11}, "num_workers", "11: must be at most max_workers, 10"),
        ({"autoscaling": "none"}, "num_workers", "must be given where autoscaling is none"),
        ({"autoscaling": "fast"}, "autoscaling", "should be 'throughput' or 'none'"),
        ({"machine_type": "big"}, "machine_type", "'big': must be a type, as in n2-standard-4"),
        ({"disk_size_gb": 5}, "disk_size_gb", "5: Input should be greater than or equal to 10"),
        ({"streaming_engine": False}, "streaming_engine", "False: must be true"),
        ({"labels": {"Team": "a"}}, "labels.Team", "'Team': must be at most 63 of a-z"),
        ({"labels": {"team": "A B"}}, "labels.team", "'A B': must be at most 63 of a-z"),
        ({"job_name": "Night_1"}, "job_name", "'Night_1': must be at most 63 of a-z"),
        ({"experiments": ["a b"]}, "experiments.0", "'a b': must be a name, or name=value"),
        ({"container_image": "isopach"}, "container_image", "must be an image with its tag"),
        ({"packages": ["a.zip"]}, "packages.0", "'a.zip': must be a package"),
        ({"packages": ["gone.whl"]}, "packages", "'gone.whl': must be a file that is there"),
        ({"endpoint": "http://elsewhere:1"}, "endpoint", "must be https://HOST or http://localh"),
        ({"zone": "a"}, "zone", "not a field that is known here; allowed: project, region"),
    ],
)
def test_a_bad_setting_is_named_with_its_line(
    tmp_path: Path, fields: dict[str, Any], field: str, message: str
) -> None:
    path = settings(tmp_path, **fields)
    with pytest.raises(DeclarationError) as refusal:
        load_options(path, {})
    (fault,) = refusal.value.faults
    lines = path.read_text().splitlines()
    named = next((n for n, text in enumerate(lines, 1) if text.startswith(field.split(".")[0])), 1)
    assert fault.file == str(path)
    assert fault.field == field
    assert message in fault.message
    assert named <= (fault.line or 0) <= len(lines)


@pytest.mark.parametrize(
    "fields",
    [
        {"kafka_password": "hunter2"},
        {"labels": {"api_key": "hunter2"}},
        {"experiments": ["sasl.jaas.config=hunter2"]},
        {"network": "-----BEGIN hunter2"},
        {"options": {"inner": {"client_secret": "hunter2"}}},
        {"options": [{"token": "hunter2"}]},
    ],
)
def test_secrets_are_refused_and_not_shown(tmp_path: Path, fields: dict[str, Any]) -> None:
    said = refused(isopach(*night(settings(tmp_path, **fields))), 2)
    assert "looks like a secret" in said
    assert "hunter2" not in said


def test_the_command_line_wins_and_is_blamed(tmp_path: Path) -> None:
    path = settings(tmp_path, max_workers=0)
    document = isopach(*night(path, "--set", "max_workers=4", "--json")).document
    assert "--max_num_workers=4" in document["beam"]
    said = refused(isopach(*night(path, "--set", "max_workers=9", "--set", "region=moon")), 2)
    assert said == "--set: region: 'moon': must be a region, as in europe-west3"
    said = refused(isopach(*night(path, "--set", "region")), 2)
    assert said == "--set: 'region' is not NAME=VALUE"


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "dataflow.yaml"
    path.write_text("project: acme-nights\nregion: moon\nmax_workers: many\n")
    said = refused(isopach(*night(path)), 2).splitlines()
    assert said == [
        f"{path}:2: region: 'moon': must be a region, as in europe-west3",
        f"{path}:1: temp_location: must be given",
        f"{path}:3: max_workers: 'many': Input should be a valid integer",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "cloud"], "--on: 'cloud' is no service; give dataflow, flink, spark"),
        (["--lake", "lake"], "--lake: 'lake' is not where Dataflow's workers can read"),
        (["--landing", "s3://sent"], "--landing: 's3://sent' is not where Dataflow's workers"),
        (["--date", "2026-02-30"], "--date: '2026-02-30' is not a date"),
        (["--site", "S999"], "--site: 'S999' is not registered"),
    ],
)
def test_what_workers_could_not_do_is_refused(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert message in refused(isopach(*night(settings(tmp_path)), *arguments), 2)


def test_a_stream_needs_kafka_and_an_image(tmp_path: Path) -> None:
    said = refused(isopach(*stream(settings(tmp_path))), 2)
    assert "needs container_image, with isopach[kafka] in it" in said
    path = settings(tmp_path, container_image=IMAGE)
    said = refused(isopach(*stream(path, "--source", "spool:spool")), 2)
    assert "is not where Dataflow's workers can read; give kafka:BROKERS/TOPIC" in said


def test_a_dry_run_says_what_would_be_sent(tmp_path: Path) -> None:
    result = isopach(*night(settings(tmp_path)))
    assert result.code == 0
    assert "job_name: isopach-nightly-sales-20260308\n" in result.out
    assert f"staged: {dataflow.SETUP_FILE}\n" in result.out
    assert result.out.endswith("nothing was sent\n")


def test_each_night_of_several_is_a_job(tmp_path: Path) -> None:
    path = settings(tmp_path)
    result = isopach(*night(path, "--date", "2026-03-08..2026-03-09", "--json"))
    assert [one["job_name"] for one in result.document["requests"]] == [
        "isopach-nightly-sales-20260308",
        "isopach-nightly-sales-20260309",
    ]


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isopach.jobs.dataflow_jobs.NEEDED", ("no_such_package.at_all",))
    arguments = [one for one in night(settings(tmp_path)) if one != "--dry-run"]
    assert refused(isopach(*arguments), 1).endswith("pip install 'isopach[gcp]'")


def test_an_installed_package_has_no_sources_to_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataflow, "SETUP_FILE", tmp_path / "pyproject.toml")
    said = refused(isopach(*night(settings(tmp_path))), 2)
    assert said.endswith(
        "container_image: must be given, or packages: Isopach's sources are not here"
    )
