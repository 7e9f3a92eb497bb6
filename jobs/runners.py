"""Runners of bounded pipelines: in this process, or any other that Beam knows by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import wraps
from types import MethodType, ModuleType
from typing import Any, Protocol, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import apache_beam as beam
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms import userstate

from isopach.jobs.engines import Engine, Receipt
from isopach.jobs.silence import told_once

LOG = logging.getLogger("isopach.runners")
EMBEDDED = ("FnApiRunner", "DirectRunner")
SPARK_SUBMIT = "SparkSubmit"
Specs: TypeAlias = tuple[set[userstate.StateSpec], set[userstate.TimerSpec]]
Find: TypeAlias = Callable[[beam.DoFn], Specs]
View = TypeVar("View", bound=PipelineOptions)
ELSEWHERE = ("--job_endpoint", "--flink_master")
"""Options that say where an engine runs already."""


class BeamOptions(PipelineOptions):  # type: ignore[misc]
    """Options whose views are made once: each builds a parser, and each transform asks for some."""

    def view_as(self, cls: type[View]) -> View:
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        view: View = views[cls]
        return view

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_views"}


def _by_class(find: Find) -> Find:
    """Have Beam look for states and timers in the methods of each class of DoFns once.

    It looks at each instance, several times a bundle: an eighth of what a small pipeline takes.
    """
    found: WeakKeyDictionary[type, Specs] = WeakKeyDictionary()

    @wraps(find)
    def finding(fn: beam.DoFn) -> Specs:
        if any(isinstance(own, MethodType) for own in vars(fn).values()):
            return find(fn)  # it has methods that its class has not
        kind = type(fn)
        if kind not in found:
            found[kind] = find(fn)
        states, timers = found[kind]
        return {*states}, {*timers}

    return finding


userstate.get_dofn_specs = _by_class(userstate.get_dofn_specs)


class Asked(Protocol):
    """What says how pipelines are run: a frozen dataclass."""

    @property
    def runner(self) -> str: ...

    @property
    def beam(self) -> tuple[str, ...]: ...


How = TypeVar("How", bound=Asked)


@contextmanager
def started(options: How) -> Iterator[How]:
    """Start what a runner needs on this machine; give the options to run there.

    Spark and Flink get a job server that has them in it, and stays up for all pipelines of a
    command. Raises EngineError when it cannot be had or started.
    """
    server = None if any(one.startswith(ELSEWHERE) for one in options.beam) else _server(options)
    if server is None:
        yield options
        return
    with server as engine:
        yield replace(options, beam=(*engine.options, *options.beam))  # type: ignore[type-var]


def _server(options: Asked) -> AbstractContextManager[Engine] | None:
    if options.runner == "SparkRunner":
        from isopach.jobs.spark_server import spark

        return spark(say=LOG.warning)
    if options.runner == "FlinkRunner":
        from isopach.jobs.flink import flink

        return flink(streaming=False, say=LOG.warning)
    return None


def pipeline_on(runner: str, options: Sequence[str], parts: int = 1) -> beam.Pipeline:
    """Return an empty pipeline for a runner, with options as Beam's command line takes them.

    Args:
        parts: what there is to do at once, at most.
    """
    chosen: str | beam.runners.PipelineRunner = runner
    if runner in EMBEDDED:
        chosen = FnApiRunner()
    elif runner == SPARK_SUBMIT:
        from isopach.jobs.spark_submit import SparkSubmit

        chosen, options = SparkSubmit(), [*options, f"--spark_parts={parts}"]
    return beam.Pipeline(runner=chosen, options=BeamOptions(list(options)))


def run_to_end(pipeline: beam.Pipeline) -> None:
    """Run a pipeline, and return when it has ended well; raises what it failed with."""
    service = _service(pipeline)
    with told_once():
        if service is None:
            pipeline.run().wait_until_finish()
        else:
            service.run_job(pipeline)


def send(pipeline: beam.Pipeline) -> Receipt:
    """Send a pipeline that runs on without this process."""
    service = _service(pipeline)
    assert service is not None, pipeline.runner
    return service.send(pipeline)


def _service(pipeline: beam.Pipeline) -> ModuleType | None:
    """Return the module that sends a pipeline; none where it is run from here."""
    name = type(pipeline.runner).__name__
    if name == "DataflowRunner":
        from isopach.jobs import dataflow_jobs

        return dataflow_jobs
    if name == "FlinkRunner" and pipeline.options.view_as(FlinkRunnerOptions).flink_submit_uber_jar:
        from isopach.jobs import flink_jobs

        return flink_jobs
    return None
