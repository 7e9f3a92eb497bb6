"""Errors in declarations: which file, line, field and value, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

Path = tuple[str | int, ...]

PLAIN = {
    "missing": "must be given",
    "tuple_type": "must be a list, as in [a, b]",
    "dict_type": "must be a mapping, as in {name: value}",
    "model_type": "must be a mapping, as in {name: value}",
    "too_short": "must not be empty",
}
"""What pydantic says of types and lengths, in the words of YAML."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a declaration."""

    file: str
    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return (
            f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"
        )


class DeclarationError(ValueError):
    """A feed, site registry or option that cannot be used; nothing was written."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def faults_of(
    error: ValidationError,
    file: str,
    line_of: Callable[[Path], int | None],
    schema: Mapping[str, Any] | None = None,
) -> list[Fault]:
    """Return the faults that pydantic found, with the lines they stand on.

    Args:
        schema: the model's JSON Schema, to name the fields that are allowed where one is unknown.
    """
    faults = []
    for detail in error.errors():
        loc = tuple(step for step in detail["loc"] if step != "[key]")
        message = PLAIN.get(detail["type"], detail["msg"].removeprefix("Value error, "))
        if detail["type"] == "extra_forbidden":
            known = ", ".join(_fields_at(schema or {}, loc[:-1]))
            message = "not a field that is known here" + (f"; allowed: {known}" if known else "")
        elif detail["type"] != "missing":
            message = _with_value(detail["input"], message)
        faults.append(Fault(file, line_of(loc), ".".join(map(str, loc)), message))
    return faults


def _with_value(value: Any, message: str) -> str:
    if isinstance(value, dict) or repr(value) in message:
        return message
    return f"{'nothing' if value is None else repr(value)}: {message}"


def _fields_at(schema: Mapping[str, Any], loc: Path) -> list[str]:
    """Return the names of the fields that a JSON Schema knows at a location."""
    node = schema
    for step in loc:
        named = node.get("properties", {}).get(step)
        others = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
        node = _mapping(schema, named or next(filter(None, others), {}))
    return list(node.get("properties", {}))


def _mapping(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and of several forms take the one that is a mapping."""
    forms = node.get("anyOf", [node])
    node = next((form for form in forms if "$ref" in form), forms[0])
    reference = node.get("$ref", "").rpartition("/")[2]
    return schema["$defs"][reference] if reference else node
