"""Something comes between two commits: a process dies there, or another one commits first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from deltalake import DeltaTable

COMMIT = "create_write_transaction"


def numbers(first: int, least: int = 1) -> Iterator[int]:
    """Yield the numbers of commits that something comes before, until one is not there.

    All from the least on with `ISOPACH_KILLS` set, every third from the first on if it is not.
    """
    return count(least) if "ISOPACH_KILLS" in os.environ else count(first, 3)


class DiedError(BaseException):
    """The process died here: nothing of the program catches this, but to say so."""


class Commits:
    """Counts commits; `happens` is called once, before the one with the number `at`."""

    def __init__(self, at: int, happens: Callable[[], None]) -> None:
        self.at, self.happens = at, happens
        self.done, self.happened = 0, False

    def counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any, **options: Any) -> Any:
            self.done += 1
            if self.done == self.at and not self.happened:
                self.happened = True
                self.happens()
            return step(*args, **options)

        return stepping


@contextmanager
def before_commit(number: int, happens: Callable[[], None]) -> Iterator[Commits]:
    """Have something happen before a commit, counted from one."""
    commits = Commits(number, happens)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeltaTable, COMMIT, commits.counted(getattr(DeltaTable, COMMIT)))
        yield commits


def die() -> None:
    raise DiedError
