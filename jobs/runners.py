"""Runners of bounded pipelines: in this process, or any other that Beam knows by name."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

EMBEDDED = ("FnApiRunner", "DirectRunner")


def pipeline_on(runner: str, options: Sequence[str]) -> beam.Pipeline:
    """Return an empty pipeline for a runner, with options as Beam's command line takes them."""
    embedded = runner in EMBEDDED
    return beam.Pipeline(
        runner=FnApiRunner() if embedded else runner, options=PipelineOptions(list(options))
    )


def run_to_end(pipeline: beam.Pipeline) -> None:
    """Run a pipeline, and return when it has ended well; raises what it failed with."""
    if type(pipeline.runner).__name__ == "DataflowRunner":
        from isopach.jobs.dataflow_jobs import run_job

        run_job(pipeline)
    else:
        pipeline.run().wait_until_finish()
