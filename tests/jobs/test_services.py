"""What is sent to Spark and Flink is checked first, and shown where that is asked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import isopach, refused

from isopach.feeds.errors import DeclarationError
from isopach.jobs import flink_options, spark_options
from isopach.jobs.spark_options import SparkOptions

DOCS = Path(__file__).parents[2] / "docs"
NIGHT = ["submit", "nightly", "sales", "--date", "2026-03-08", "--landing", "l", "--lake", "lake"]
FLINK = {"master": "head:8081"}


def written(folder: Path, fields: dict[str, Any]) -> Path:
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return path


def faults(load: Any, folder: Path, fields: dict[str, Any]) -> list[str]:
    with pytest.raises(DeclarationError) as refusal:
        load(written(folder, fields), {})
    return [f"{fault.field}: {fault.message}" for fault in refusal.value.faults]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"master": "head:7077"}, "master: 'head:7077': must be local[N], spark://HOST:PORT, yarn"),
        ({"master": "local[0x2]"}, "master: 'local[0x2]': must be local[N]"),
        ({"executor_memory": "4 GB"}, "executor_memory: '4 GB': must be an amount of memory, as"),
        ({"executors": 0}, "executors: 0: Input should be greater than or equal to 1"),
        ({"deploy_mode": "cluster"}, "deploy_mode: 'cluster': must be client where master is"),
        ({"conf": {"ui.port": "1"}}, "conf: 'ui.port': must be one of Spark's settings"),
        ({"job_server_jar": "gone.jar"}, "job_server_jar: 'gone.jar': must be a file that is"),
        ({"workers": {"start": "docker"}}, "workers.image: must be given where workers.start"),
        ({"workers": {"start": "thread"}}, "workers.start: 'thread': Input should be 'process'"),
        (
            {"workers": {"start": "external", "address": "pool"}},
            "workers.address: 'pool': must be HOST:PORT",
        ),
        ({"cores": 3}, "cores: not a field that is known here; allowed: master, deploy_mode"),
        ({"conf": {"spark.hadoop.fs.s3a.secret.key": "hunter2"}}, "looks like a secret"),
    ],
)
def test_a_bad_setting_of_spark_is_named(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    (said,) = faults(spark_options.load_options, tmp_path, fields)
    assert message in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"master": "head"}, "master: 'head': must be the REST address of a cluster, HOST:PORT"),
        ({}, "master: must be given"),
        ({**FLINK, "parallelism": 0}, "parallelism: 0: Input should be greater than or equal"),
        ({**FLINK, "checkpoints": "/mnt/x"}, "checkpoints: '/mnt/x': must be an address"),
        ({**FLINK, "s3_token": "hunter2"}, "s3_token: looks like a secret"),
    ],
)
def test_a_bad_setting_of_flink_is_named(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    (said,) = faults(flink_options.load_options, tmp_path, fields)
    assert message in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("page", "load"),
    [("spark.md", spark_options.load_options), ("flink.md", flink_options.load_options)],
)
def test_the_settings_on_a_page_are_good(page: str, load: Any, tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    known = set(type(load(path, {})).model_fields)
    told = set(re.findall(r"`(\w+)(?:\.\w+)?`", (DOCS / page).read_text()))
    assert known <= told


@pytest.mark.parametrize("page", ["spark.md", "flink.md"])
def test_the_commands_on_a_page_are_good(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (DOCS / page).read_text()
    settings, body = next(re.finditer(r"```yaml\n# (\S+)\n(.*?)```", text, re.DOTALL)).groups()
    (tmp_path / settings).write_text(body)
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"```\nisopach (submit .*?)```", text, re.DOTALL)
    assert commands
    for command in commands:
        words = [*shlex.split(command.replace("\\\n", " ")), "--dry-run"]
        assert isopach(*words).code == 0, command


@pytest.mark.parametrize(
    ("fields", "parts", "partitions"),
    [
        ({"master": "local[4]"}, 100, 12),
        ({"master": "local[4,3]"}, 5, 5),
        ({"master": "local"}, 100, 3),
        ({"master": "yarn"}, 1000, 200),
        ({"master": "yarn", "executors": 100, "executor_cores": 4}, 1000, 1000),
        ({"master": "yarn", "partitions": 7}, 1000, 7),
        ({"master": "yarn"}, 0, 1),
    ],
)
def test_partitions_are_what_there_is_to_do(
    fields: dict[str, Any], parts: int, partitions: int
) -> None:
    command = SparkOptions(**fields).command(Path("/spark"), "job.jar", "night", parts)
    assert f"--conf=spark.default.parallelism={partitions}" in command


def test_local_tasks_are_tried_again_as_well() -> None:
    for master, called in (("local[2]", "local[2,4]"), ("local[2,3]", "local[2,3]")):
        command = SparkOptions(master=master).command(Path("/spark"), "job.jar", "night", 1)
        assert f"--master={called}" in command


def test_a_dry_run_shows_the_call_of_spark_submit(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="not installed: isopach[spark]")
    path = written(tmp_path, {"master": "spark://head:7077", "executors": 8, "conf": {}})
    asked = ["--on", "spark", "--settings", path, "--set", "conf.spark.ui.enabled=false"]
    found = isopach(*NIGHT, *asked, "--set", "executors=4", "--dry-run", "--json").document
    assert found["job_name"] == "isopach-nightly-sales-20260308"
    called = found["command_line"]
    for part in (
        "bin/spark-submit --master=spark://head:7077",
        "--total-executor-cores=8",
        "--conf=spark.ui.enabled=false",
        "--class=org.apache.beam.runners.spark.SparkPipelineRunner",
    ):
        assert part in called
    assert any('"command":' in one and "isopach-worker" in one for one in found["beam"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "flink"], "--set: master: must be given"),
        (["--on", "spark", "--master", "head"], "--set: master: 'head': must be local[N]"),
        (["--on", "spark", "--set", "workers.start=thread"], "--set: workers.start: 'thread'"),
        (["--on", "dataflow"], "--on: 'dataflow' needs --settings FILE"),
    ],
)
def test_what_was_typed_is_blamed(arguments: list[str], message: str) -> None:
    assert message in refused(isopach(*NIGHT, *arguments, "--dry-run"), 2)


def test_spark_streams_nothing_that_is_sent() -> None:
    stream = ["submit", "stream", "sales", "--source", "kafka:b:1/t", "--lake", "lake"]
    said = refused(isopach(*stream, "--on", "spark"), 2)
    assert "runs nights only" in said
    assert "--template" in refused(
        isopach(*stream, "--on", "flink", "--master", "h:1", "--template", "gs://a/b"), 2
    )


def test_spark_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    said = refused(isopach(*NIGHT, "--on", "spark"), 1)
    assert "has no bin/spark-submit; give the folder of a Spark 3.5" in said
