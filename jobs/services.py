"""Where nights and streams are sent: what each service is asked, and what it is given."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from isopach.jobs.arguments import bad_usage, err, place_of
from isopach.jobs.failures import explained

if TYPE_CHECKING:
    from isopach.jobs.dataflow import DataflowOptions
    from isopach.jobs.flink_options import FlinkOptions
    from isopach.jobs.spark_options import SparkOptions

SERVICES = ("dataflow", "flink", "spark")


@dataclass(frozen=True)
class Job:
    """What is sent: for which runner, with which of Beam's options, and what else is told."""

    runner: str
    beam: tuple[str, ...]
    told: dict[str, Any] = field(default_factory=dict)


class Service(Protocol):
    """A service that runs jobs; what its workers cannot do ends with a message."""

    def check_place(self, option: str, address: str) -> None: ...

    def check_source(self, source: str) -> None: ...

    def night(self, feed: str, day: date) -> Job: ...

    def stream(self, feed: str) -> Job: ...

    def check_ready(self) -> None:
        """Raise what keeps jobs from being sent: OSError, with what to do."""


def service_of(name: str, settings: Path | None, given: Mapping[str, Any]) -> Service:
    """Return a service with checked settings; an unknown one ends with a message."""
    if name == "dataflow":
        from isopach.jobs import dataflow

        if settings is None:
            bad_usage("--on", name, "needs --settings FILE: project, region, temp_location …")
        with explained(err):
            return OnDataflow(dataflow.load_options(settings, given))
    if name == "flink":
        from isopach.jobs import flink_options

        with explained(err):
            return OnFlink(flink_options.load_options(settings, given))
    if name == "spark":
        from isopach.jobs import spark_options

        with explained(err):
            return OnSpark(spark_options.load_options(settings, given))
    bad_usage("--on", name, f"is no service; give {', '.join(SERVICES)}")


@dataclass(frozen=True)
class OnDataflow:
    """Google Cloud Dataflow, whose workers reach what is in Google Cloud."""

    options: DataflowOptions

    def check_place(self, option: str, address: str) -> None:
        with explained(err):
            place = place_of(address)
        if not place.uri.startswith("gs://"):
            bad_usage(option, address, "is not where Dataflow's workers can read; give gs://…")

    def check_source(self, source: str) -> None:
        if not source.startswith("kafka:"):
            what = "is not where Dataflow's workers can read; give kafka:BROKERS/TOPIC"
            bad_usage("--source", source, what)
        if self.options.container_image is None:
            bad_usage("--source", source, "needs container_image, with isopach[kafka] in it")

    def night(self, feed: str, day: date) -> Job:
        from isopach.jobs.dataflow import night_options

        return self._job(night_options(self.options, feed, day))

    def stream(self, feed: str) -> Job:
        from isopach.jobs.dataflow import stream_options

        return self._job(stream_options(self.options, feed))

    def check_ready(self) -> None:
        from isopach.jobs.dataflow_jobs import check_installed

        check_installed()

    def _job(self, beam: list[str]) -> Job:
        return Job("DataflowRunner", tuple(beam), {"staged": self.options.staged})


class OnCluster:
    """A cluster of one's own; folders must be where each of its machines has them."""

    def check_place(self, option: str, address: str) -> None:
        with explained(err):
            place_of(address)

    def check_source(self, source: str) -> None:
        """Any log may be on all machines."""


@dataclass(frozen=True)
class OnFlink(OnCluster):
    """A Flink cluster."""

    options: FlinkOptions

    def night(self, feed: str, day: date) -> Job:
        from isopach.jobs.flink_options import night_options

        return Job("FlinkRunner", tuple(night_options(self.options, feed, day)))

    def stream(self, feed: str) -> Job:
        from isopach.jobs.flink_options import stream_options

        return Job("FlinkRunner", tuple(stream_options(self.options, feed)))

    def check_ready(self) -> None:
        from isopach.jobs.flink_jobs import check_answers

        check_answers(self.options.master)


@dataclass(frozen=True)
class OnSpark(OnCluster):
    """A Spark cluster, by spark-submit."""

    options: SparkOptions

    def night(self, feed: str, day: date) -> Job:
        from isopach.jobs.runners import SPARK_SUBMIT
        from isopach.jobs.spark_jars import spark_home
        from isopach.jobs.spark_options import night_options

        beam = tuple(night_options(self.options, feed, day))
        with explained(err):
            command = self.options.command(spark_home(), "JOB.jar", job_name_of(beam), 1)
        return Job(SPARK_SUBMIT, beam, {"command_line": shlex.join(command)})

    def stream(self, feed: str) -> Job:
        bad_usage(
            "--on",
            "spark",
            "runs nights only: Beam does not stream from Python on Spark; "
            "isopach stream --runner SparkRunner lands micro-batches there",
        )

    def check_ready(self) -> None:
        from isopach.jobs.engines import find_tool
        from isopach.jobs.spark_jars import find_jar

        find_tool("java", "Spark runs on it", "install Java 17 (OpenJDK)")
        if self.options.job_server_jar is None:
            find_jar(lambda text: err.print(text))


def job_name_of(beam: Sequence[str]) -> str:
    """Return the name of a job from its options."""
    return next(one for one in beam if one.startswith("--job_name=")).partition("=")[2]
