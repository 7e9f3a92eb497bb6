"""Nights and streams go to a stand-in of Dataflow by the real client; its jobs run here."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from dataflow import Service, sent_options, staged_pipeline
from rich.console import Console
from small_night import assert_same, content

from isopach.feeds.load import load_declaration
from isopach.feeds.sales import write_night
from isopach.jobs.dataflow import DataflowOptions, night_options
from isopach.jobs.dataflow_jobs import DataflowError
from isopach.jobs.delivered import Deliveries
from isopach.jobs.nightly import Options, Summary, run_night
from isopach.jobs.progress import Progress
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place

DAY = date(2026, 3, 8)
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


def test_a_night_that_dataflow_stages_is_the_night_of_this_machine(
    sent: Path, dataflow: Service
) -> None:
    dataflow.runs = True
    settings = options(dataflow, sent)
    beam = tuple(night_options(settings, "sales", DAY))
    there = night(sent, "there", Options(runner="DataflowRunner", memory=None, beam=beam))
    here = night(sent, "here", Options())
    assert there.outcome == here.outcome == "held"
    assert there.read == here.read > 0
    assert_same(
        content(Place.of(sent / "there"), SALES), content(Place.of(sent / "here"), SALES)
    )
    runs = scan(Place.of(sent / "there"), tables.RUNS).collect()
    assert runs["engine"].to_list() == ["DataflowRunner"]
