"""Jobs on a Flink cluster: sent by its REST interface, waited for, and cancelled with us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError

import apache_beam as beam
import requests
from apache_beam.options.pipeline_options import FlinkRunnerOptions, GoogleCloudOptions
from apache_beam.runners.runner import PipelineResult

from isopach.jobs.causes import cause_of
from isopach.jobs.engines import Receipt
from isopach.jobs.flink import cancel_jobs, running_jobs
from isopach.jobs.flink_jars import SUBMITTED, find_jars


class FlinkError(OSError):
    """A job that could not be sent, or failed on Flink."""


def check_answers(master: str) -> None:
    """Raise FlinkError where no cluster answers."""
    with told(master, ""):
        running_jobs(master.removeprefix("http://"), "")


def run_job(pipeline: beam.Pipeline) -> None:
    """Send a pipeline and wait for its job; if that is interrupted, cancel it."""
    master, name = _where(pipeline)
    with told(master, name):
        job = _sent(pipeline, master, name)
        try:
            job.wait_until_finish()
        except BaseException:
            cancel_jobs(master, name)
            raise


def send(pipeline: beam.Pipeline) -> Receipt:
    """Send a pipeline that runs without this process."""
    master, name = _where(pipeline)
    with told(master, name):
        _sent(pipeline, master, name)
        number = running_jobs(master, name)[0]
    return Receipt(
        number, name, f"http://{master}/#/job/{number}/overview", f"flink:{master}/{number}"
    )


def _where(pipeline: beam.Pipeline) -> tuple[str, str]:
    """Return the REST address that a pipeline is sent to, and the name of its job."""
    master = pipeline.options.view_as(FlinkRunnerOptions).flink_master
    return master.removeprefix("http://"), pipeline.options.view_as(GoogleCloudOptions).job_name


def _sent(pipeline: beam.Pipeline, master: str, name: str) -> PipelineResult:
    """Send a pipeline, with the jar built here unless its options have one."""
    if running_jobs(master, name):
        raise FlinkError(f"job {name} runs already, so nothing was sent: wait for it, or cancel it")
    options = pipeline.options.view_as(FlinkRunnerOptions)
    options.flink_job_server_jar = options.flink_job_server_jar or str(find_jars() / SUBMITTED)
    return pipeline.run()


@contextmanager
def told(master: str, name: str) -> Iterator[None]:
    """Turn the cluster's errors into FlinkError, with what to do."""
    try:
        yield
    except (URLError, requests.RequestException) as error:
        raise FlinkError(
            f"{master} does not answer ({error}): is a Flink cluster's REST address there?"
        ) from error
    except RuntimeError as error:  # Beam's, of a job that failed and one that was refused
        raise FlinkError(
            f"job {name} failed: {cause_of(str(error))}; more at http://{master}"
        ) from error
