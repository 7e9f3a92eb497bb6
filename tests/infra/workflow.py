"""Google's Workflows, as much of them as a night takes: steps run here against stand-ins."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace as Module
from typing import Any, NamedTuple

Calls = Mapping[str, Callable[..., Any]]
CONTROL = {"switch", "next", "for", "try", "except", "raise", "return", "steps"}
KNOWN = {"assign", "call", "args", "result"} | CONTROL
EXPRESSION = re.compile(r"\$\{(.*)\}", re.S)
LONGEST = 400
"""Of an expression, says the service."""


class RaisedError(Exception):
    """What a workflow, or something that it calls, raises."""


class Signal(NamedTuple):
    """What steps end with: a step to go on at, or what is returned."""

    next: str | None = None
    returned: Any = None


class Fields(dict[str, Any]):
    """A map whose fields are named after a dot."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise RaisedError(f"KeyError: {name}") from None


class Workflow:
    """A workflow's document, run with what `calls` do and what `env` says.

    Args:
        calls: by name, given the arguments of the step; the document's own come first.
    """

    def __init__(self, document: Mapping[str, Any], calls: Calls, env: Mapping[str, str]) -> None:
        self.document, self.calls, self.env = document, calls, env

    def run(self, name: str = "main", **arguments: Any) -> Any:
        """Run a workflow of the document to its end; raises RaisedError."""
        called = self.document[name]
        assert set(called.get("params", [])) == set(arguments), f"{name} is given {arguments}"
        ended = self._steps(called["steps"], {k: _fields(v) for k, v in arguments.items()})
        assert ended is None or ended.next is None, f"{name}: no step {ended.next}"
        return ended.returned if ended else None

    def _steps(self, steps: list[dict[str, Any]], scope: dict[str, Any]) -> Signal | None:
        """Run steps until they are over, return, or go on at a step that is elsewhere."""
        names = [next(iter(step)) for step in steps]
        at = 0
        while at < len(steps):
            signal = self._step(steps[at][names[at]], scope)
            if signal is None:
                at += 1
            elif signal.next in names:
                at = names.index(signal.next)
            else:
                return signal
        return None

    def _step(self, step: dict[str, Any], scope: dict[str, Any]) -> Signal | None:
        assert set(step) <= KNOWN, f"not known: {set(step) - KNOWN}"
        for one in step.get("assign", []):
            for name, value in one.items():
                scope[name] = self._value(value, scope)
        if "call" in step:
            scope[step.get("result", "_")] = self._call(step, scope)
        for kind in ("try", "for", "switch"):
            if kind in step and (signal := getattr(self, f"_{kind}")(step, scope)):
                return signal
        if "raise" in step:
            raise RaisedError(self._value(step["raise"], scope))
        if "return" in step:
            return Signal(returned=self._value(step["return"], scope))
        return Signal(step["next"]) if "next" in step else None

    def _call(self, step: dict[str, Any], scope: dict[str, Any]) -> Any:
        arguments = self._value(step.get("args", {}), scope)
        if step["call"] in self.document:
            return self.run(step["call"], **arguments)
        return _fields(self.calls[step["call"]](**arguments))

    def _try(self, step: dict[str, Any], scope: dict[str, Any]) -> Signal | None:
        try:
            return self._step(step["try"], scope)
        except RaisedError as error:
            failed = step["except"]
            return self._steps(failed["steps"], scope | {failed["as"]: Fields(message=str(error))})

    def _for(self, step: dict[str, Any], scope: dict[str, Any]) -> Signal | None:
        loop = step["for"]
        for value in self._value(loop["in"], scope):
            inner = scope | {loop["value"]: value}
            signal = self._steps(loop["steps"], inner)
            scope |= {name: inner[name] for name in scope}  # what is new in a loop stays there
            if signal:
                return signal
        return None

    def _switch(self, step: dict[str, Any], scope: dict[str, Any]) -> Signal | None:
        for case in step["switch"]:
            if self._value(case["condition"], scope):
                if "raise" in case:
                    raise RaisedError(self._value(case["raise"], scope))
                if "return" in case:
                    return Signal(returned=self._value(case["return"], scope))
                return Signal(case["next"])
        return None

    def _value(self, value: Any, scope: dict[str, Any]) -> Any:
        """Return a value with its expressions computed."""
        if isinstance(value, dict):
            return Fields({name: self._value(inner, scope) for name, inner in value.items()})
        if isinstance(value, list):
            return [self._value(inner, scope) for inner in value]
        found = EXPRESSION.fullmatch(value) if isinstance(value, str) else None
        if not found:
            return value
        assert len(found[1]) <= LONGEST, found[1]
        return eval(found[1], {"__builtins__": {}}, self._library() | scope)

    def _library(self) -> dict[str, Any]:
        """Return the functions of the standard library that expressions call."""
        return {
            "null": None,
            "false": False,
            "default": lambda value, other: other if value is None else value,
            "int": int,
            "string": str,
            "list": Module(concat=lambda some, one: [*some, one]),
            "map": Module(get=_get),
            "sys": Module(get_env=self.env.__getitem__, now=self.calls["sys.now"]),
            "text": Module(
                substring=lambda text, first, end: text[first:end],
                replace_all=lambda text, old, new: text.replace(old, new),
            ),
            "time": Module(format=lambda at: datetime.fromtimestamp(at, UTC).isoformat()),
        }


def _get(found: Any, names: str | list[str]) -> Any:
    """Return what a map has under a name, or under names one in another; null if nothing."""
    for name in [names] if isinstance(names, str) else names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _fields(value: Any) -> Any:
    if isinstance(value, dict):
        return Fields({name: _fields(inner) for name, inner in value.items()})
    return [_fields(one) for one in value] if isinstance(value, list) else value
