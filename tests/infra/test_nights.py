"""A night's steps, run one by one: what they start, wait for, and tell, on each cloud the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import yaml
from nights import NEVER, SECONDS, Night, on_aws, on_google
from terraform import MODULES
from workflow import RaisedError, Workflow

from isopach.jobs.failures import BAD_USAGE, DONE, FAILED, HELD

NO_TERRAFORM = shutil.which("terraform") is None
AWS = pytest.param(
    on_aws,
    id="aws",
    marks=pytest.mark.skipif(NO_TERRAFORM, reason="not installed: terraform, which renders it"),
)
CLOUDS = pytest.mark.parametrize("run", [pytest.param(on_google, id="google"), AWS])
INTERRUPTED = 124
"""What `timeout` ends with when it has interrupted a command."""
RUN = "20260308T084500123456-a1b2c3"
Run = Callable[[Night], str]
FIRST = {on_google: "submit", on_aws: "nightly"}


@CLOUDS
def test_a_night_settles(run: Run) -> None:
    night = Night([DONE, DONE])
    assert run(night) == "settled"
    command, status = night.commands
    assert command[command.index("--date") + 1] == "2026-03-07"
    assert command[-4:] == ["--site", "S003", "--site", "S009"]
    assert (command[0], status[:2]) == (FIRST[run], ["status", "sales"])
    assert night.alarms == []


def test_a_night_on_dataflow_has_a_name_of_its_own() -> None:
    night = Night([DONE, DONE])
    on_google(night)
    name = "job_name=isopach-sales-america-chicago-0200-20260307"
    assert name in night.commands[0]
    assert len(name.partition("=")[2]) <= 63


@CLOUDS
def test_what_a_gate_holds_is_published_when_somebody_approves(run: Run) -> None:
    night = Night([HELD, DONE, DONE], approves=RUN)
    assert run(night) == "settled"
    assert night.verbs == [FIRST[run], "publish", "status"]
    publish = night.commands[1]
    assert publish[publish.index("--run") + 1] == RUN
    assert "--approve" in publish
    assert night.alarms == ["night_held"]


@CLOUDS
def test_what_nobody_approves_stays_provisional(run: Run) -> None:
    night = Night([HELD, DONE])
    assert run(night) == "held"
    assert night.verbs == [FIRST[run], "status"]
    assert night.alarms == ["night_held", "night_not_approved"]


@CLOUDS
def test_what_is_still_held_is_asked_for_again(run: Run) -> None:
    night = Night([HELD, HELD, DONE, DONE], approves=RUN)
    assert run(night) == "settled"
    assert night.verbs == [FIRST[run], "publish", "publish", "status"]
    assert night.alarms == ["night_held", "night_held"]


@CLOUDS
def test_a_night_that_failed_is_tried_again(run: Run) -> None:
    night = Night([FAILED, FAILED, DONE, DONE])
    assert run(night) == "settled"
    assert night.verbs == [*[FIRST[run]] * 3, "status"]
    assert night.commands[0] == night.commands[2]
    assert 600 <= night.waited < 900
    assert night.alarms == []


@CLOUDS
def test_a_night_that_fails_each_time_is_told(run: Run) -> None:
    night = Night([FAILED] * 3 + [HELD])
    assert run(night) == "raised: night of sales for 2026-03-07 failed"
    assert night.verbs == [*[FIRST[run]] * 3, "status"]
    assert night.alarms == ["night_failed"]


@CLOUDS
def test_a_bad_declaration_is_not_tried_again(run: Run) -> None:
    night = Night([BAD_USAGE, DONE])
    assert run(night).startswith("raised:")
    assert night.verbs == [FIRST[run], "status"]
    assert night.alarms == ["night_failed"]


@CLOUDS
@pytest.mark.parametrize("code", [INTERRUPTED, NEVER])
def test_a_night_that_takes_too_long_falls_back_and_is_told(run: Run, code: int) -> None:
    night = Night([code, DONE, DONE])
    assert run(night) == "settled"
    assert night.verbs == [FIRST[run], "nightly", "status"]
    assert "--memory" in night.commands[1]
    assert night.alarms == ["night_slow"]
    assert night.cancelled == (code == NEVER)
    assert (night.waited >= SECONDS) == (code == NEVER)


@CLOUDS
@pytest.mark.parametrize(
    ("codes", "outcome", "alarms"),
    [
        ([INTERRUPTED, FAILED, DONE], "raised", ["night_slow", "night_failed"]),
        ([INTERRUPTED, HELD, DONE, DONE], "settled", ["night_slow", "night_held"]),
        ([HELD, FAILED, DONE], "raised", ["night_held", "night_failed"]),
    ],
)
def test_what_goes_wrong_after_that_is_told_as_well(
    run: Run, codes: list[int], outcome: str, alarms: list[str]
) -> None:
    night = Night(list(codes), approves=RUN)
    assert run(night).partition(":")[0] == outcome
    assert night.alarms == alarms
    assert night.verbs[-1] == "status"
    assert night.codes == []


@CLOUDS
@pytest.mark.parametrize(
    ("code", "outcome", "alarms"),
    [
        (DONE, "maintained", []),
        (FAILED, "raised: maintenance of sales failed", ["maintain_failed"]),
    ],
)
def test_a_feed_is_maintained_by_the_same_steps(
    run: Run, code: int, outcome: str, alarms: list[str]
) -> None:
    night = Night([code], maintain=True)
    assert run(night) == outcome
    assert [command[:2] for command in night.commands] == [["maintain", "sales"]]
    assert night.alarms == alarms


def test_a_table_that_cannot_be_maintained_holds_up_no_other() -> None:
    started: list[str] = []
    told: list[str] = []

    def create(parent: str, body: dict[str, dict[str, str]], connector_params: object) -> None:
        started.append(body["labels"]["table"])
        if len(started) == 1:
            raise RaisedError("no room")

    calls = {
        "googleapis.dataproc.v1.projects.locations.batches.create": create,
        "sys.log": lambda severity, json: told.append(f"{json['alarm']} {json['message']}"),
        "sys.now": lambda: 0,
    }
    batches = [{"labels": {"table": table}} for table in ("sales", "flights")]
    document = yaml.safe_load((MODULES / "google/modules/spark/maintain.yaml").read_text())
    workflow = Workflow(document, calls, {"PARENT": "p"})
    assert workflow.run(input={"batches": batches}) == "ok"
    assert started == ["sales", "flights"]
    assert told == ["maintain_failed no room"]
