"""Nights on a Spark cluster: a pipeline in a jar of its own, run by spark-submit to its end."""

from __future__ import annotations

import argparse
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability.abstract_job_service import (
    AbstractJobServiceServicer,
    UberJarBeamJob,
)
from apache_beam.runners.portability.portable_runner import PortableRunner

from isopach.jobs.causes import cause_of
from isopach.jobs.processes import Process, kept_on_error, running
from isopach.jobs.spark_jars import find_jar, spark_home
from isopach.jobs.spark_options import SparkOptions
from isopach.pipelines.progress import ENGINE

LOOK, TAIL = 0.5, 1 << 14
LOG = logging.getLogger("isopach.spark")


class SubmitError(OSError):
    """A job that spark-submit did not bring to its end."""


class SubmitOptions(PipelineOptions):  # type: ignore[misc]
    """What a job is submitted with, beside Beam's own options."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--spark_settings", default="{}", help="SparkOptions, as JSON")
        parser.add_argument(
            "--spark_parts", type=int, default=1, help="what there is to do at once, at most"
        )
        parser.add_argument("--storage_level", help="where Spark keeps what is used twice")


class SparkSubmit(PortableRunner):  # type: ignore[misc]
    """A runner that packs a pipeline into a jar, and waits for spark-submit to run it."""

    def default_job_server(self, options: PipelineOptions) -> Submissions:
        return Submissions(options)


class Submissions(AbstractJobServiceServicer):  # type: ignore[misc]
    """The job service of a runner, in this process."""

    def __init__(self, options: PipelineOptions) -> None:
        super().__init__()
        self._asked = options.view_as(SubmitOptions)
        self._name = options.view_as(GoogleCloudOptions).job_name or "isopach"

    def start(self) -> Submissions:
        return self

    def stop(self) -> None:
        """Do nothing: what runs is a job's."""

    def create_beam_job(self, job_id: str, job_name: str, pipeline: Any, options: Any) -> Job:
        settings = SparkOptions.model_validate_json(self._asked.spark_settings)
        jar = settings.job_server_jar or str(find_jar(LOG.warning))
        job = Job(jar, job_id, self._name, pipeline, options)
        job.settings, job.parts = settings, self._asked.spark_parts
        return job


class Job(UberJarBeamJob):  # type: ignore[misc]
    """A pipeline that spark-submit runs."""

    settings: SparkOptions
    parts: int

    def run(self) -> None:
        """Run spark-submit to its end; raises SubmitError."""
        self._stop_artifact_service()
        try:
            command = self.settings.command(spark_home(), self._jar, self._job_name, self.parts)
            LOG.info("%s", " ".join(command))
            with kept_on_error("spark") as logs, running("spark-submit", command, logs) as process:
                code = _watched(process)
                if code:
                    raise SubmitError(_failed(self._job_name, code, process.log))
        finally:
            os.unlink(self._jar)
        self.set_state(beam_job_api_pb2.JobState.DONE)

    def get_state_stream(self) -> Iterator[Any]:
        """Yield the state before and after the run."""
        yield self.get_state()
        yield self.get_state()

    def get_message_stream(self) -> Iterator[Any]:
        """Yield the state: what failed was raised."""
        yield self.get_state()


def _watched(process: Process) -> int:
    """Wait for spark-submit, telling which step it is at; return its exit code."""
    try:
        while True:
            try:
                return process.popen.wait(LOOK)
            except TimeoutExpired:
                ENGINE.text = step_of(process.log.read_text(errors="replace")[-TAIL:])
    finally:
        ENGINE.text = ""


def step_of(log: str) -> str:
    """Return the step that Spark finished a task of last; empty before the first."""
    found = re.findall(r"Finished task \S+ in stage (\d+)\S* .*\((\d+)/(\d+)\)", log)
    return "Spark's stage {}: {} of {} tasks".format(*found[-1]) if found else ""


def _failed(name: str, code: int, log: Path) -> str:
    """Return why a job failed, as its log says."""
    cause = cause_of(log.read_text(errors="replace"))
    return f"job {name} failed: {cause}; spark-submit ended with {code}, all it said is in {log}"
