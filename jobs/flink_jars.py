"""What Flink runs with: its jars, mended where they must be, and an archive of their classes."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from shutil import rmtree

from isopach.jobs.built import built, run_tool
from isopach.jobs.engines import EngineError, Say, find_tool

POM = Path(__file__).resolve().parents[1] / "infra" / "flink" / "pom.xml"
SUBMITTED = "submitted/job-server.jar"
"""Beam's runner without Flink, as it is sent to a cluster."""
MENDED = "mended/beam.jar"
"""The classes of Beam that are mended (see the pom); they come before Beam's own."""
ARCHIVE = "classes.jsa"


def find_jars(say: Say = print) -> Path:
    """Return the folder of Flink's and the job server's jars, fetched with Maven if need be."""
    try:
        pom = POM.read_bytes()
    except OSError as error:
        raise EngineError(
            f"{POM}: {error.strerror}; Flink is run from a checkout, which has this file"
        ) from error

    def build(folder: Path) -> None:
        _fetch(folder, say)

    return built(f"flink-{sha256(pom).hexdigest()[:12]}", build)


def _fetch(folder: Path, say: Say) -> None:
    mvn = find_tool("mvn", "Flink's jars are fetched with it", "install Apache Maven and Java 17")
    say("Fetching Flink's jars (150 MB) with Maven; this happens once")
    target = folder / "target"
    goals = ["package", "dependency:copy-dependencies"]
    to = [f"-Dtarget={target}", f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
    run_tool([mvn, "-q", "-B", "-f", str(POM), *goals, *to], "Fetching Flink's jars")
    for made, kept in (("job-server.jar", SUBMITTED), ("original-job-server.jar", MENDED)):
        (folder / kept).parent.mkdir()
        (target / made).rename(folder / kept)
    rmtree(target)


def archive_of(jars: Path) -> Path:
    """Return where the archive of their classes is; it holds for jars that stay where they are."""
    return jars.with_name(f"{jars.name}-classes") / ARCHIVE


def archive(jars: Path, used: Path, to: Path) -> None:
    """Write classes to an archive, which Java maps instead of loading each: it starts sooner.

    Args:
        used: the names of the classes, as Java lists them by `listing`.
    """
    where = [f"-XX:SharedClassListFile={used}", f"-XX:SharedArchiveFile={to}"]
    run_tool([_java(), "-Xshare:dump", *where, "-cp", _class_path(jars)], "Archiving classes")


def listing(to: Path) -> str:
    """Return the option of Java to list the classes that it loads."""
    return f"-XX:DumpLoadedClassList={to}"


def java(
    jars: Path, main: str, heap: str, state: Path, *loud: str, classes: str | None = None
) -> list[str]:
    """Return the command of a Java process of Flink.

    Args:
        state: a folder for what it keeps on disk.
        loud: the loggers that say more than warnings: where it listens.
        classes: what is done about classes; by default they are taken from the archive.
    """
    logger = "-Dorg.slf4j.simpleLogger"
    archived = archive_of(jars)
    shared = f"-XX:SharedArchiveFile={archived}" if archived.is_file() else "-Xshare:auto"
    return [
        _java(),
        classes or shared,
        f"-Xmx{heap}",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Djava.io.tmpdir={state}",
        f"{logger}.defaultLogLevel=warn",
        f"{logger}.showDateTime=true",
        *(f"{logger}.log.{name}=info" for name in loud),
        "-cp",
        _class_path(jars),
        main,
    ]


def _java() -> str:
    return find_tool("java", "Flink runs on it", "install Java 17 (OpenJDK)")


def _class_path(jars: Path) -> str:
    return f"{jars}/{MENDED}:{jars}/*"
