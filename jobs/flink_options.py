"""How jobs run on a Flink cluster: settings, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from isopach.jobs.flink import unbounded
from isopach.jobs.settings import job_name, like, load_settings
from isopach.jobs.workers import Workers

KEPT_ELSEWHERE = (
    "looks like a secret, and whoever sees a job sees its options: leave it out; "
    "Flink reads it from its own configuration, and Kafka's settings are a file on each machine"
)


class FlinkOptions(BaseModel):
    """Where jobs run on Flink, and how they start anew.

    `master` is a session cluster's REST address. `checkpoints` is a folder that all its machines
    reach: without one a job is kept by the cluster's own settings. Nothing is lost without
    checkpoints either, the lake is the only state.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    master: Annotated[
        str, like(r"(?:https?://)?[\w.-]+:\d+", "the REST address of a cluster, HOST:PORT")
    ]
    parallelism: Annotated[int, Field(ge=1, le=10_000)] = 1
    restarts: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    restart_delay_seconds: Annotated[int, Field(ge=0, le=3600)] = 3
    checkpoint_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    checkpoints: (
        Annotated[
            str, like(r"[a-z0-9]+://\S+", "an address, as in file:///mnt/checkpoints or s3://b/c")
        ]
        | None
    ) = None
    workers: Workers = Workers()
    job_server_jar: str | None = None

    @property
    def beam(self) -> list[str]:
        """What Beam is told of a job of either kind."""
        return [
            f"--flink_master={self.master}",
            "--flink_submit_uber_jar",
            f"--parallelism={self.parallelism}",
            f"--number_of_execution_retries={self.restarts}",
            f"--execution_retry_delay={1000 * self.restart_delay_seconds}",
            *((f"--flink_job_server_jar={self.job_server_jar}",) if self.job_server_jar else ()),
            *self.workers.beam(1),
        ]


def load_options(path: Path | None, given: Mapping[str, Any]) -> FlinkOptions:
    """Load settings from a YAML file; raises DeclarationError with every fault found."""
    return load_settings(FlinkOptions, path, given, KEPT_ELSEWHERE)


def night_options(options: FlinkOptions, feed: str, day: date) -> list[str]:
    """Return what Beam is given for a night."""
    return [*options.beam, f"--job_name={job_name('nightly', feed, f'{day:%Y%m%d}')}"]


def stream_options(options: FlinkOptions, feed: str) -> list[str]:
    """Return what Beam is given for a stream."""
    every = timedelta(seconds=options.checkpoint_seconds)
    return [
        *options.beam,
        f"--job_name={job_name('stream', feed)}",
        "--streaming",
        *unbounded(options.checkpoints, every),
    ]
