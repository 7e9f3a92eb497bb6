"""A night's steps on each cloud, against stand-ins of what they start: the same night on both."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
import yaml
from machine import Machine, TaskError
from terraform import MODULES
from workflow import RaisedError, Workflow

from isopach.jobs.cli import app

NEVER = -1
"""The exit code of a command that hangs, and is not even interrupted."""
SECONDS = 10_800
APPROVE_SECONDS = 43_200
START = 1_772_959_500.0
"""2026-03-08 08:45 UTC: 03:45 in Chicago, on the day that its clocks were put forward."""
INPUT = {"night": "sales-america-chicago-0200", "feed": "sales", "sites": ["S003", "S009"]}
BACK_SECONDS = 75_600


@dataclass
class Night:
    """What the stand-ins are told to do, and what they saw.

    `codes` are the exit codes of the commands, one after the other; `approves` the run that
    somebody says when asked, or nobody.
    """

    codes: list[int]
    maintain: bool = False
    approves: str | None = None
    at: float = START
    commands: list[list[str]] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    cancelled: int = 0
    waited: float = 0

    def start(self, arguments: list[str]) -> int:
        """Take a command, if it is one, and return the exit code that it ends with."""
        interrupt, kill, seconds, name, *command = arguments
        assert (interrupt, kill, name) == ("--signal=INT", "--kill-after=300", "isopach")
        assert int(seconds) in (SECONDS, 43_200, 21_600, 3_600)
        parsed(command)
        self.commands.append(command)
        return self.codes.pop(0)

    def wait(self, seconds: float) -> None:
        self.at += seconds
        self.waited += seconds

    @property
    def verbs(self) -> list[str]:
        """The commands' names."""
        return [command[0] for command in self.commands]


def parsed(command: list[str]) -> None:
    """Fail unless the command line takes these arguments; nothing is run."""
    group, rest = typer.main.get_command(app), command
    while hasattr(group, "commands"):
        group, rest = group.commands[rest[0]], rest[1:]
    group.make_context(command[0], list(rest))


def on_google(night: Night) -> str:
    """Run a night's workflow, and return its outcome."""
    document = yaml.safe_load((MODULES / "google/modules/schedule/night.yaml").read_text())
    env = {
        "JOB": "https://run.googleapis.com/v2/projects/p/locations/l/jobs/isopach",
        "SETTINGS": str(_settings()),
        "LAKE": "gs://acme-lake/lake",
        "LANDING": "gs://acme-landing/landing",
        "MEMORY": "6GB",
        "ATTEMPTS": "3",
        "TIME_OUT_SECONDS": str(SECONDS),
        "APPROVE_SECONDS": str(APPROVE_SECONDS),
    }
    try:
        given = {**_input(night), "back_seconds": BACK_SECONDS}
        return str(Workflow(document, _CloudRun(night).calls(), env).run(input=given))
    except RaisedError as error:
        return f"raised: {error}"


def _input(night: Night) -> dict[str, Any]:
    """Return what a schedule hands over: of a night, or of a feed's maintenance."""
    return {**INPUT, "maintain": True, "sites": []} if night.maintain else INPUT


def _settings() -> Path:
    """Return a file that is there: the command looks for it before anything else."""
    return MODULES / "google" / "README.md"


class _CloudRun:
    """Jobs of Cloud Run, callbacks, the log and the clock."""

    def __init__(self, night: Night) -> None:
        self.night = night
        self.code = 0

    def calls(self) -> dict[str, Any]:
        return {
            "http.post": self.post,
            "http.get": self.get,
            "sys.now": lambda: self.night.at,
            "sys.sleep": self.night.wait,
            "sys.log": lambda severity, json: self.night.alarms.append(json["alarm"]),
            "events.create_callback_endpoint": lambda http_callback_method: {"url": "https://c"},
            "events.await_callback": self.await_callback,
        }

    def post(self, url: str, auth: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        assert auth == {"type": "OAuth2"}
        if url.endswith(":cancel"):
            self.night.cancelled += 1
            return {"body": {}}
        assert url.endswith("/jobs/isopach:run")
        (override,) = body["overrides"]["containerOverrides"]
        self.code = self.night.start(override["args"])
        self.polls = 0
        return {"body": {"metadata": {"name": "projects/p/locations/l/jobs/isopach/executions/e"}}}

    def get(self, url: str, auth: dict[str, str]) -> dict[str, Any]:
        """Tell of no task at first, then of one that runs, then of its end; 0 is left out."""
        assert url.endswith("/executions/e/tasks")
        self.polls += 1
        if self.polls == 1:
            return {"body": {}}
        if self.polls == 2 or self.code == NEVER:
            return {"body": {"tasks": [{"name": "t"}]}}
        result = {"exitCode": self.code} if self.code else {"status": {}}
        return {"body": {"tasks": [{"completionTime": "now", "lastAttemptResult": result}]}}

    def await_callback(self, callback: dict[str, str], timeout: int) -> dict[str, Any]:
        assert (callback["url"], timeout) == ("https://c", APPROVE_SECONDS)
        if self.night.approves is None:
            self.night.wait(timeout)
            raise RaisedError("TimeoutError")
        return {"http_request": {"body": {"run": self.night.approves}}}


def on_aws(night: Night) -> str:
    """Run a night's state machine, and return its outcome."""

    def run_task(arguments: dict[str, Any], time_out: int) -> dict[str, Any]:
        (override,) = arguments["Overrides"]["ContainerOverrides"]
        code = night.start(override["Command"])
        if code == NEVER:
            night.cancelled += 1
            night.wait(time_out)
            raise TaskError("States.Timeout")
        if code:
            raise TaskError("States.TaskFailed", json.dumps({"Containers": [{"ExitCode": code}]}))
        return {"Containers": [{"ExitCode": 0}]}

    def publish(arguments: dict[str, Any], _: int | None) -> dict[str, Any]:
        assert len(arguments["Subject"]) <= 100
        night.alarms.append(arguments["Message"]["alarm"])
        return {"MessageId": "m"}

    def ask(arguments: dict[str, Any], time_out: int) -> dict[str, Any]:
        assert arguments["Message"]["token"] == "T"
        publish(arguments, None)
        if night.approves is None:
            night.wait(time_out)
            raise TaskError("States.Timeout")
        return {"run": night.approves}

    tasks = {
        "wait": night.wait,
        "arn:aws:states:::ecs:runTask.sync": run_task,
        "arn:aws:states:::sns:publish": publish,
        "arn:aws:states:::sns:publish.waitForTaskToken": ask,
    }
    scheduled = "2026-03-08T08:00:00Z"
    given = {**_input(night), "back_seconds": BACK_SECONDS, "scheduled": scheduled}
    try:
        return str(Machine(_definition(), tasks).run(given))
    except TaskError as error:
        return f"raised: {error.cause}"


def _definition() -> dict[str, Any]:
    """Return the state machine as Terraform renders it."""
    values: Iterable[tuple[str, Any]] = {
        "cluster": "c",
        "family": "isopach",
        "subnets": '["s"]',
        "security_group": "g",
        "topic": "t",
        "lake": "s3://acme-lake/lake",
        "landing": "s3://acme-landing/landing",
        "memory": "6GB",
        "more_memory": "24GB",
        "attempts": 3,
        "seconds": SECONDS,
        "approve_seconds": APPROVE_SECONDS,
    }.items()
    folder = MODULES / "aws" / "modules" / "schedule"
    variables = ", ".join(f"{name} = {json.dumps(value)}" for name, value in values)
    rendered = subprocess.run(
        ["terraform", "console"],
        input=f'jsonencode(jsondecode(templatefile("{folder}/night.asl.json", {{{variables}}})))',
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=True,
        env=_plain(),
    )
    return dict(json.loads(json.loads(rendered.stdout)))


def _plain() -> dict[str, str]:
    return {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
