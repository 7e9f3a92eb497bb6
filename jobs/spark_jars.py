"""What Beam runs on Spark with: Spark itself, and the job server's jar."""

from __future__ import annotations

import os
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from isopach.jobs.built import built, run_tool
from isopach.jobs.engines import EngineError, Say, find_tool

INFRA = Path(__file__).resolve().parents[1] / "infra" / "spark"
SOURCES = ("pom.xml", "src/main/java/isopach/JobServer.java")
LOGGING = INFRA / "log4j2.properties"
JAR = "job-server.jar"
MAIN = "isopach.JobServer"
RUNNER = "org.apache.beam.runners.spark.SparkPipelineRunner"
"""What spark-submit starts: it finds the pipeline in its own jar."""
OPENED = (
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
)
"""Packages of java.base that Spark 3.5 reaches into; spark-submit opens them by itself."""


def spark_home() -> Path:
    """Return where Spark is: SPARK_HOME, or the pyspark package; raises EngineError."""
    chosen = os.environ.get("SPARK_HOME")
    if chosen:
        home = Path(chosen).expanduser().absolute()
        if not (home / "bin" / "spark-submit").is_file():
            raise EngineError(
                f"SPARK_HOME: {chosen}: has no bin/spark-submit; give the folder of a Spark 3.5"
            )
        return home
    package = find_spec("pyspark")
    if package is None or package.origin is None:
        raise EngineError("Spark is not there: pip install 'isopach[spark]', or set SPARK_HOME")
    return Path(package.origin).parent


def find_jar(say: Say = print) -> Path:
    """Return the job server's jar, built with Maven if need be; raises EngineError."""
    try:
        sources = {name: (INFRA / name).read_bytes() for name in SOURCES}
    except OSError as error:
        raise EngineError(
            f"{error.filename}: {error.strerror}; the jar is built from a checkout, which has this "
            "file: give the job server of Beam as job_server_jar"
        ) from error
    version = sha256(b"".join(sources.values())).hexdigest()[:12]

    def build(folder: Path) -> None:
        mvn = find_tool(
            "mvn", "the job server is built with it", "install Apache Maven and Java 17"
        )
        say("Building Beam's job server for Spark with Maven; this happens once")
        target = folder / "target"
        command = [mvn, "-q", "-B", "-f", str(INFRA / "pom.xml"), f"-Dtarget={target}", "package"]
        run_tool(command, "Building the job server")
        (target / JAR).rename(folder / JAR)

    return built(f"spark-{version}", build) / JAR
