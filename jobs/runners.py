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
