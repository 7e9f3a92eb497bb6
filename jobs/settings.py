"""Settings of a service in YAML: checked whole, each fault with its place, nothing secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError

from isopach.feeds.errors import DeclarationError, Fault, faults_of
from isopach.feeds.load import line_of, load_mapping

SECRET = re.compile(
    r"passw|secret|token|credential|api[-_.]?key|private[-_.]?key|access[-_.]?key|sasl|jaas"
    r"|-----BEGIN",
    re.I,
)
Model = TypeVar("Model", bound=BaseModel)


def like(pattern: str, allowed: str) -> AfterValidator:
    """Return the check that a text as a whole looks like a pattern; `allowed` says it in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {allowed}")
        return text

    return AfterValidator(check)


def job_name(*parts: str) -> str:
    """Return the name of a job: of the same work it is the same, and a service runs it once."""
    text = "-".join(("isopach", *parts)).lower()
    return re.sub(r"[^a-z0-9]+", "-", text)[:63].strip("-")


def load_settings(
    model: type[Model], path: Path | None, given: Mapping[str, Any], instead: str
) -> Model:
    """Load settings from a YAML file; raises DeclarationError with every fault found.

    Args:
        path: none where what is given is all.
        given: what the command line says, by field; it wins over the file. What it says of a
            mapping is merged into the file's.
        instead: what to say of a secret, which does not belong in settings.
    """
    data: dict[str, Any] = {}
    root = None
    if path is not None:
        data, root = load_mapping(path, "settings are a mapping, `name: value` each")
    data = {**data, **{name: _merged(data.get(name), value) for name, value in given.items()}}

    def fault(field: str, message: str) -> Fault:
        loc = tuple(field.split(".")) if field else ()
        if path is None or _is_given(field, given):
            return Fault("--set", None, field, message)
        return Fault(str(path), line_of(root, loc), field, message)

    secrets = [fault(name, instead) for name in _secret_names(data)]
    if secrets:
        raise DeclarationError(secrets)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = faults_of(error, str(path), lambda _: None, model.model_json_schema())
        raise DeclarationError([fault(*pair) for one in found for pair in _single(one)]) from error


def _merged(before: object, value: object) -> object:
    both = isinstance(before, dict) and isinstance(value, dict)
    return {**before, **value} if both else value  # type: ignore[dict-item]


def _is_given(field: str, given: Mapping[str, Any]) -> bool:
    """Tell whether a field was given on the command line."""
    name, dot, inner = field.partition(".")
    section = given.get(name)
    return name in given and (not dot or not isinstance(section, dict) or inner in section)


def _secret_names(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields, by path, whose names or texts look like secrets; never their values."""
    for name, value in data.items():
        listed = value if isinstance(value, list) else [value]
        if SECRET.search(str(name)) or any(_tells(text) for text in listed):
            yield str(name)
        for inner in listed:
            if isinstance(inner, dict):
                yield from (f"{name}.{other}" for other in _secret_names(inner))


def _tells(text: object) -> bool:
    """Tell whether a text is a key, or sets something secret, as in `name=value`."""
    if not isinstance(text, str):
        return False
    return "-----BEGIN" in text or ("=" in text and bool(SECRET.search(text.split("=", 1)[0])))


def _single(fault: Fault) -> Iterator[tuple[str, str]]:
    """Yield each problem of several settings by the field that it names."""
    for message in fault.message.split("\n"):
        if fault.field:
            yield fault.field, message
        else:
            field, _, text = message.partition(": ")
            yield field, text
