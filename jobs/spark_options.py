"""How a night runs on a Spark cluster: settings, checked before anything is sent."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from isopach.jobs.settings import job_name, like, load_settings
from isopach.jobs.spark_jars import RUNNER
from isopach.jobs.workers import Workers

MASTER = r"local(?:\[(?:\*|\d+)(?:,\d+)?\])?|spark://[\w.,:-]+:\d+|yarn|k8s://\S+"
ROUNDS = 3
"""Tasks for each core: few enough to start fast, enough to even out."""
MOST = 200
"""Tasks where Spark decides on how many cores there are: each costs some milliseconds a step."""
KRYO = "org.apache.spark.serializer.KryoSerializer"
"""What Beam keeps between steps is not Java's to serialize, which it is when it goes to disk."""
KEPT_ELSEWHERE = (
    "looks like a secret, and whoever sees a process sees its command line: leave it out; "
    "Spark reads it from properties_file, or its own spark-defaults.conf"
)
Size = Annotated[str, like(r"[1-9]\d*[mg]", "an amount of memory, as in 4g or 800m")]


class SparkOptions(BaseModel):
    """Where nights run on Spark, and on how much of it.

    `partitions` is by default what there is to read, or of groups in the salting plan, at most
    three for each core.
    `archives` are unpacked on each machine, as in `env.tar.gz#env`: `workers.command` is then
    `env/bin/isopach-worker`. `job_server_jar` is Beam's own, in place of the one built here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    master: Annotated[
        str, like(MASTER, "local[N], spark://HOST:PORT, yarn or k8s://https://HOST:PORT")
    ] = "local[*]"
    deploy_mode: Literal["client", "cluster"] = "client"
    driver_memory: Size = "2g"
    executor_memory: Size = "4g"
    executor_cores: Annotated[int, Field(ge=1, le=256)] = 2
    executors: Annotated[int, Field(ge=1, le=10_000)] | None = None
    partitions: Annotated[int, Field(ge=1, le=100_000)] | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 3
    workers: Workers = Workers()
    conf: dict[str, str | bool | int | float] = {}
    properties_file: str | None = None
    archives: tuple[str, ...] = Field(default=(), strict=False)
    job_server_jar: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> SparkOptions:
        problems = list(self._problems())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        for name in ("properties_file", "job_server_jar"):
            path = getattr(self, name)
            if path is not None and not Path(path).is_file():
                yield f"{name}: {path!r}: must be a file that is there"
        for name in self.conf:
            if not name.startswith("spark."):
                yield f"conf: {name!r}: must be one of Spark's settings, as in spark.ui.port"
        if self.local and self.deploy_mode == "cluster":
            yield f"deploy_mode: 'cluster': must be client where master is {self.master}"
        if self.workers.start == "docker" and self.workers.image is None:
            yield "workers.image: must be given where workers.start is docker"

    @property
    def local(self) -> bool:
        return self.master.startswith("local")

    @property
    def cores(self) -> int | None:
        """How many tasks run at once; none where Spark decides."""
        found = re.match(r"local(?:\[(\*|\d+))?", self.master)
        if found:
            return int((found[1] or "1").replace("*", str(os.cpu_count() or 1)))
        return None if self.executors is None else self.executors * self.executor_cores

    def command(self, home: Path, jar: str, name: str, parts: int) -> list[str]:
        """Return the call of spark-submit.

        Args:
            home: where Spark is.
            parts: what there is to do at once, at most.
        """
        most = ROUNDS * self.cores if self.cores else MOST
        conf = {
            "spark.task.maxFailures": str(self.retries + 1),
            "spark.serializer": KRYO,
            "spark.default.parallelism": str(self.partitions or max(1, min(parts, most))),
            "spark.yarn.submit.waitAppCompletion": "true",
            "spark.standalone.submit.waitAppCompletion": "true",
            **{key: _java(value) for key, value in self.conf.items()},
        }
        many = () if self.executors is None else (f"--num-executors={self.executors}",)
        if self.master.startswith("spark://") and self.executors is not None:
            many = (f"--total-executor-cores={self.executors * self.executor_cores}",)
        return [
            str(home / "bin" / "spark-submit"),
            f"--master={self._master}",
            f"--deploy-mode={self.deploy_mode}",
            f"--name={name}",
            f"--class={RUNNER}",
            f"--driver-memory={self.driver_memory}",
            f"--executor-memory={self.executor_memory}",
            f"--executor-cores={self.executor_cores}",
            *many,
            *(f"--conf={key}={value}" for key, value in conf.items()),
            *((f"--archives={','.join(self.archives)}",) if self.archives else ()),
            *((f"--properties-file={self.properties_file}",) if self.properties_file else ()),
            jar,
        ]

    @property
    def _master(self) -> str:
        """The master, which tries a task again on this machine too."""
        found = re.fullmatch(r"local\[(\*|\d+)\]", self.master)
        return f"local[{found[1]},{self.retries + 1}]" if found else self.master


def _java(value: str | bool | int | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def load_options(path: Path | None, given: Mapping[str, Any]) -> SparkOptions:
    """Load settings from a YAML file; raises DeclarationError with every fault found."""
    return load_settings(SparkOptions, path, given, KEPT_ELSEWHERE)


def night_options(options: SparkOptions, feed: str, day: date) -> list[str]:
    """Return what Beam is given for a night."""
    return [
        f"--spark_settings={options.model_dump_json(exclude_defaults=True)}",
        f"--job_name={job_name('nightly', feed, f'{day:%Y%m%d}')}",
        "--storage_level=MEMORY_AND_DISK",  # what does not fit would be worked out once more
        *options.workers.beam((options.cores or 1) if options.local else options.executor_cores),
    ]
