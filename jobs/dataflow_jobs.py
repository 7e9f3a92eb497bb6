"""Jobs on Dataflow: sent, waited for, and cancelled when nobody waits any more."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.runners.runner import PipelineResult

from isopach.jobs.engines import Receipt

LOG = logging.getLogger("isopach.dataflow")
NEEDED = ("google.cloud.dataflow", "google.cloud.storage", "build")


class DataflowError(OSError):
    """A job that could not be sent, was refused, or failed on Dataflow."""


def check_installed() -> None:
    """Raise DataflowError where what launching needs is not installed."""
    for name in NEEDED:
        if not _is_installed(name):
            raise DataflowError(
                f"launching on Dataflow needs a package that is not there ({name}): "
                "pip install 'isopach[gcp]'"
            )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is not there either
        return False


def settings_of(pipeline: beam.Pipeline) -> GoogleCloudOptions:
    """Return the settings that a pipeline is sent with."""
    return pipeline.options.view_as(GoogleCloudOptions)


def send(pipeline: beam.Pipeline) -> Receipt:
    """Send a pipeline that runs without this process."""
    job, settings = send_job(pipeline), settings_of(pipeline)
    number = job.job_id() if job.has_job else ""
    process = f"dataflow:{settings.region}/{number or settings.job_name}"
    return Receipt(number, settings.job_name, console(settings, number), process)


def send_job(pipeline: beam.Pipeline) -> PipelineResult:
    """Send a pipeline, say where its job can be looked at, and return the job."""
    check_installed()
    settings = settings_of(pipeline)
    with told(settings.job_name, settings.project, settings.region):
        job = pipeline.run()
    if job.has_job:  # there is none yet where a template is being made of the pipeline
        LOG.warning("job %s: %s", job.job_id(), console(settings, job.job_id()))
    return job


def run_job(pipeline: beam.Pipeline) -> None:
    """Send a pipeline and wait for its job; if that is interrupted, cancel it: machines cost."""
    job = send_job(pipeline)
    settings = settings_of(pipeline)
    try:
        with told(settings.job_name, settings.project, settings.region):
            job.wait_until_finish()
    except BaseException:
        _cancel(job, console(settings, job.job_id()))
        raise


def _cancel(job: PipelineResult, where: str) -> None:
    """Cancel a job unless it has ended; what keeps it from that is told, and raised no further."""
    try:
        if not job.is_in_terminal_state():
            job.cancel()
            LOG.warning("job %s is cancelled", job.job_id())
    except Exception as error:  # another error is on its way, which says what began this
        LOG.error("job %s could not be cancelled (%s): cancel it at %s", job.job_id(), error, where)


def console(settings: GoogleCloudOptions, job: str) -> str:
    """Return where a job sent with settings can be looked at."""
    return console_of(settings.project, settings.region, job)


def console_of(project: str, region: str, job: str) -> str:
    """Return where a job can be looked at."""
    return f"https://console.cloud.google.com/dataflow/jobs/{region}/{job}?project={project}"


@contextmanager
def told(name: str, project: str, region: str) -> Iterator[None]:
    """Turn the service's errors into DataflowError, with what to do."""
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRuntimeException
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError
    from google.api_core.exceptions import Conflict, GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (Conflict, DataflowJobAlreadyExistsError) as error:
        raise DataflowError(
            f"job {name} runs already, so nothing was sent: wait for it, or cancel it"
        ) from error
    except DataflowRuntimeException as error:
        where = console_of(project, region, error.result.job_id())
        raise DataflowError(
            f"job {name} failed: {' '.join(str(error).split())}; {where}"
        ) from error
    except (GoogleAPICallError, RetryError) as error:
        raise DataflowError(
            f"job {name}: {error}; are you signed in (gcloud auth application-default login), is "
            f"the API enabled in {project}, and may you use it?"
        ) from error
    except GoogleAuthError as error:
        raise DataflowError(
            f"job {name}: nobody is signed in ({error}): gcloud auth application-default login"
        ) from error
    except AssertionError as error:  # Beam's, when it cannot ask for the job's state any more
        raise DataflowError(f"job {name} was lost sight of: {error}") from error
    except RuntimeError as error:  # Beam's, when a package cannot be built
        raise DataflowError(f"job {name} could not be staged: {error}") from error
