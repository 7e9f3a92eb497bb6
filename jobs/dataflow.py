"""How a job runs on Google Cloud Dataflow: settings, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from isopach.jobs.dataflow_fields import (
    Account,
    Endpoint,
    Experiment,
    Folder,
    Image,
    Key,
    LabelName,
    LabelValue,
    Machine,
    Name,
    Package,
    Project,
    Region,
    Subnetwork,
    Zone,
)
from isopach.jobs.settings import job_name, load_settings

SETUP_FILE = Path(__file__).resolve().parents[1] / "pyproject.toml"
"""There where Isopach runs from its sources; an installed package has none."""
OURS = 3
"""Labels that each job gets."""


class DataflowOptions(BaseModel):
    """Where jobs run on Dataflow, on what machines, and as whom; nothing in here is secret.

    `container_image` has Isopach in it; else `packages` are staged, or else its sources. `endpoint`
    is a private one of the Dataflow API, or that of a stand-in on this machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    project: Project
    region: Region
    temp_location: Folder
    staging_location: Folder | None = None
    service_account: Account | None = None
    network: Name | None = None
    subnetwork: Subnetwork | None = None
    kms_key: Key | None = None
    use_public_ips: bool = False
    num_workers: Annotated[int, Field(ge=1, le=4000)] | None = None
    max_workers: Annotated[int, Field(ge=1, le=4000)] = 10
    autoscaling: Literal["throughput", "none"] = "throughput"
    machine_type: Machine | None = None
    disk_size_gb: Annotated[int, Field(ge=10, le=65536)] | None = None
    worker_zone: Zone | None = None
    streaming_engine: bool = True
    labels: dict[LabelName, LabelValue] = Field(default={}, max_length=64 - OURS)
    job_name: Name | None = None
    experiments: tuple[Experiment, ...] = Field(default=(), strict=False)
    container_image: Image | None = None
    packages: tuple[Package, ...] = Field(default=(), strict=False)
    endpoint: Endpoint | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> DataflowOptions:
        problems = list(self._problems())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        if self.num_workers and self.num_workers > self.max_workers:
            yield (
                f"num_workers: {self.num_workers}: must be at most max_workers, {self.max_workers}"
            )
        if self.autoscaling == "none" and self.num_workers is None:
            yield "num_workers: must be given where autoscaling is none"
        if self.worker_zone and self.worker_zone[:-2] != self.region:
            yield f"worker_zone: {self.worker_zone!r}: must be in the region, {self.region}"
        for name, text, part in (
            ("subnetwork", self.subnetwork, "/regions/{}/"),
            ("kms_key", self.kms_key, "/locations/{}/"),
        ):
            if text and part.format(self.region) not in f"/{text}":
                yield f"{name}: {text!r}: must be in the region, {self.region}"
        if not self.streaming_engine:
            yield "streaming_engine: False: must be true: Beam for Python streams on nothing else"
        for package in self.packages:
            if not Path(package).is_file():
                yield f"packages: {package!r}: must be a file that is there"
        if not (self.packages or self.container_image or SETUP_FILE.is_file()):
            yield "container_image: must be given, or packages: Isopach's sources are not here"

    @property
    def local(self) -> bool:
        """Tell whether jobs go to a stand-in on this machine, which knows nobody."""
        return (self.endpoint or "").startswith("http://")

    @property
    def staged(self) -> list[str]:
        """What is staged for workers to install beside what their image has."""
        if self.packages:
            return [str(Path(package).resolve()) for package in self.packages]
        return [] if self.container_image else [str(SETUP_FILE)]


TOLD_BY_ALL = (
    "looks like a secret, and whoever sees a job sees its options: leave it out; "
    "workers sign in as service_account, and Kafka's settings are a file in container_image"
)


def load_options(path: Path, given: Mapping[str, Any]) -> DataflowOptions:
    """Load settings from a YAML file; raises DeclarationError with every fault found."""
    return load_settings(DataflowOptions, path, given, TOLD_BY_ALL)


def beam_options(
    options: DataflowOptions, *parts: str, labels: Mapping[str, str], streaming: bool = False
) -> list[str]:
    """Return what Beam is given to run a job on Dataflow.

    Args:
        parts: what the job is named after, where the settings do not name it.
        labels: of Isopach; their values are made to fit.
    """
    single = {
        "runner": "DataflowRunner",
        "project": options.project,
        "region": options.region,
        "job_name": options.job_name or job_name(*parts),
        "temp_location": options.temp_location,
        "staging_location": options.staging_location or options.temp_location,
        "service_account_email": options.service_account,
        "network": options.network,
        "subnetwork": options.subnetwork,
        "dataflow_kms_key": options.kms_key,
        "num_workers": options.num_workers,
        "max_num_workers": options.max_workers,
        "autoscaling_algorithm": {"throughput": "THROUGHPUT_BASED", "none": "NONE"}[
            options.autoscaling
        ],
        "machine_type": options.machine_type,
        "disk_size_gb": options.disk_size_gb,
        "worker_zone": options.worker_zone,
        "sdk_container_image": options.container_image,
        "dataflow_endpoint": options.endpoint,
    }
    flags = {
        "use_public_ips" if options.use_public_ips else "no_use_public_ips": True,
        "streaming": streaming,
        "enable_streaming_engine": streaming,
        "no_auth": options.local,
    }
    return [
        *(f"--{name}={value}" for name, value in single.items() if value is not None),
        *(f"--{name}" for name, is_set in flags.items() if is_set),
        *(f"--labels={name}={text}" for name, text in labels_of(options, labels).items()),
        *(f"--experiments={experiment}" for experiment in options.experiments),
        *_packaged(options),
    ]


def labels_of(options: DataflowOptions, ours: Mapping[str, str]) -> dict[str, str]:
    """Return a job's labels: those of the settings, and Isopach's with values made to fit."""
    fitting = {name: re.sub(r"[^a-z0-9_-]", "_", text.lower())[:63] for name, text in ours.items()}
    return {**options.labels, **{f"isopach-{name}": text for name, text in fitting.items()}}


def _packaged(options: DataflowOptions) -> Sequence[str]:
    if options.packages:
        return [f"--extra_package={package}" for package in options.staged]
    image = ["--sdk_location=container"] if options.container_image else []
    return image or [f"--setup_file={setup}" for setup in options.staged]


def night_options(options: DataflowOptions, feed: str, day: date) -> list[str]:
    """Return what Beam is given for a night."""
    labels = {"command": "nightly", "feed": feed, "date": day.isoformat()}
    return beam_options(options, "nightly", feed, f"{day:%Y%m%d}", labels=labels)


def stream_options(options: DataflowOptions, feed: str) -> list[str]:
    """Return what Beam is given for a stream."""
    labels = {"command": "stream", "feed": feed}
    return beam_options(options, "stream", feed, labels=labels, streaming=True)
