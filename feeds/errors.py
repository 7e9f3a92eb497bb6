"""Errors in declarations: which file, line, field and value, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

Path = tuple[str | int, ...]


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
    error: ValidationError, file: str, line_of: Callable[[Path], int | None]
) -> list[Fault]:
    """Return the faults that pydantic found, with the lines they stand on."""
    return [
        _fault(detail["loc"], detail, file, line_of(detail["loc"])) for detail in error.errors()
    ]


def _fault(loc: Path, detail: object, file: str, line: int | None) -> Fault:
    assert isinstance(detail, dict)
    message = detail["msg"].removeprefix("Value error, ")
    value = detail.get("input")
    if detail["type"] == "extra_forbidden":
        message = "not a field that is known here"
    elif (
        detail["type"] != "missing"
        and isinstance(value, str | int | float)
        and (repr(value) not in message)
    ):
        message = f"{value!r}: {message}"
    return Fault(file, line, ".".join(map(str, loc)), message)
