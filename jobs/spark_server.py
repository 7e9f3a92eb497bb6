"""A job server for Beam's pipelines that has Spark in it, for as long as a command runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from isopach.jobs.engines import JOBS_AT, Engine, Say, find_tool, job_service, portable
from isopach.jobs.processes import kept_on_error, running
from isopach.jobs.silence import lost_streams_silenced
from isopach.jobs.spark_jars import LOGGING, MAIN, OPENED, find_jar, spark_home

LOCAL = "local[*]"
START_SECONDS = 60.0
SETTINGS = {
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
}


@contextmanager
def spark(master: str = LOCAL, *, heap: str = "2g", say: Say = print) -> Iterator[Engine]:
    """Run a job server on free ports, whose workers are in this process; it is stopped at the end.

    Raises EngineError when it cannot be had or started.

    Args:
        heap: the most that it takes, with the jobs that run in it.
    """
    home, jar = spark_home(), find_jar(say)
    with (
        lost_streams_silenced(),
        TemporaryDirectory(prefix="isopach-spark-") as state,
        kept_on_error("spark") as logs,
        running("spark", _command(home, jar, master, heap, Path(state)), logs) as process,
    ):
        endpoint = process.wait_for(JOBS_AT, START_SECONDS)
        process.wait_to_answer(endpoint, START_SECONDS)
        yield Engine("spark", endpoint, portable(endpoint), process.pid, process.log)


def _command(home: Path, jar: Path, master: str, heap: str, state: Path) -> list[str]:
    program = find_tool("java", "Spark runs on it", "install Java 17 (OpenJDK)")
    settings = {**SETTINGS, "spark.local.dir": str(state)}
    return [
        program,
        f"-Xmx{heap}",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Djava.io.tmpdir={state}",
        f"-Dlog4j2.configurationFile={LOGGING}",
        *(f"-D{name}={value}" for name, value in settings.items()),
        *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPENED),
        "-cp",
        f"{jar}:{home}/jars/*",
        MAIN,
        *job_service(state),
        f"--spark-master-url={master}",
    ]
