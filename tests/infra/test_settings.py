"""What Terraform hands to the command is what the command takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from configurations import Copy, planned
from terraform import MODULES

from isopach.jobs.cli import app
from isopach.jobs.dataflow import beam_options, load_options
from isopach.lake.in_flight import NO_RUNS
from isopach.lake.ledger import new_run

ENVIRONMENTS = sorted(MODULES.glob("*/envs/*"))


@pytest.mark.parametrize("folder", ENVIRONMENTS, ids=lambda folder: str(folder)[-9:])
def test_environments_have_what_the_feeds_declare(folder: Path) -> None:
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["infra", "check", "sales", "flights", "--to", str(folder)])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("cloud", ["google"], indirect=True)
def test_settings_of_submit_are_sound(cloud: Copy, tmp_path: Path) -> None:
    events = cloud.test(cloud.configuration("envs/prod"), plans=True)
    objects = {
        change["change"]["after"]["name"]: change["change"]["after"]["content"]
        for change in planned(events)
        if change["type"] == "google_storage_bucket_object"
    }
    path = tmp_path / "dataflow.yaml"
    path.write_text(objects["settings/dataflow.yaml"])
    options = load_options(path, {"job_name": "isopach-sales-europe-berlin-0300-20260308"})
    sent = beam_options(options, labels={})
    assert "--no_use_public_ips" in sent
    assert "--job_name=isopach-sales-europe-berlin-0300-20260308" in sent
    template = json.loads(objects["settings/stream.json"])
    assert template["image"] == options.container_image
    shipped = json.loads((MODULES.parent / "dataflow" / "spec.json").read_text())
    assert {**template, "image": ""} == {**shipped, "image": ""}


def test_what_is_deleted_of_staging_are_runs_alone() -> None:
    """Rules of buckets delete below `_staging/2`: there are runs, which their time names."""
    assert new_run("sales", "nightly", "batch", "FnApiRunner", {}).run.startswith("2")
    assert [name for name in NO_RUNS if name.startswith("2")] == []
