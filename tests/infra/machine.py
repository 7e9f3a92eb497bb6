"""AWS's state machines, as much of them as a night takes: states run here against stand-ins."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from jsonata import jsonata

Tasks = Mapping[str, Callable[..., Any]]
KNOWN = {
    "Pass": {"Assign"},
    "Wait": {"Seconds"},
    "Choice": {"Choices", "Default"},
    "Task": {"Resource", "TimeoutSeconds", "Arguments", "Assign", "Catch", "Retry"},
    "Succeed": {"Output"},
    "Fail": {"Error", "Cause"},
}


class TaskError(Exception):
    """What a task fails with: a name that `Catch` knows, and a cause."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(name)
        self.name, self.cause = name, cause


class Machine:
    """A state machine in JSONata, run with what `tasks` do."""

    def __init__(self, definition: Mapping[str, Any], tasks: Tasks) -> None:
        assert definition["QueryLanguage"] == "JSONata"
        self.states, self.tasks = definition["States"], tasks
        self.first: str = definition["StartAt"]
        self.variables: dict[str, Any] = {}

    def run(self, given: Any) -> Any:
        """Run from the first state to the end; raises TaskError with the name of a Fail state."""
        name = self.first
        while True:
            state = self.states[name]
            kind = state["Type"]
            assert set(state) <= KNOWN[kind] | {"Type", "Next", "Comment"}, (name, set(state))
            if kind == "Succeed":
                return self._value(state["Output"], given)
            if kind == "Fail":
                raise TaskError(state["Error"], self._value(state["Cause"], given))
            name = getattr(self, f"_{kind.lower()}")(state, given)

    def _pass(self, state: dict[str, Any], given: Any) -> str:
        self._assign(state, given)
        return str(state["Next"])

    def _wait(self, state: dict[str, Any], given: Any) -> str:
        self.tasks["wait"](state["Seconds"])
        return str(state["Next"])

    def _choice(self, state: dict[str, Any], given: Any) -> str:
        for choice in state["Choices"]:
            if self._value(choice["Condition"], given) is True:
                return str(choice["Next"])
        return str(state["Default"])

    def _task(self, state: dict[str, Any], given: Any) -> str:
        arguments = self._value(state["Arguments"], given, context={"Task": {"Token": "T"}})
        tries = 1 + sum(one["MaxAttempts"] for one in state.get("Retry", []))
        while True:
            try:
                result = self.tasks[state["Resource"]](arguments, state.get("TimeoutSeconds"))
            except TaskError as error:
                tries -= 1
                if tries:
                    continue
                return self._caught(state, given, error)
            self._assign(state, given, result=result)
            return str(state["Next"])

    def _caught(self, state: dict[str, Any], given: Any, error: TaskError) -> str:
        for catch in state.get("Catch", []):
            if {error.name, "States.ALL"} & set(catch["ErrorEquals"]):
                output = {"Error": error.name, "Cause": error.cause}
                self._assign(catch, given, errorOutput=output)
                return str(catch["Next"])
        raise error

    def _assign(self, state: dict[str, Any], given: Any, **states: Any) -> None:
        """Set variables; all are computed from what there was before."""
        computed = self._value(state.get("Assign", {}), given, **states)
        self.variables |= computed

    def _value(self, value: Any, given: Any, **states: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._value(inner, given, **states) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._value(inner, given, **states) for inner in value]
        if not (isinstance(value, str) and value.startswith("{%")):
            return value
        expression = jsonata.Jsonata(value.removeprefix("{%").removesuffix("%}").strip())
        expression.register_lambda("parse", json.loads)  # the service's own
        for name, known in self.variables.items():
            expression.assign(name, known)
        expression.assign("states", {"input": given, **states})
        # What JSONata makes are lists of its own kind.
        return json.loads(json.dumps(expression.evaluate(None)))
