"""Hooks: a feed's own Python function on batches, by its dotted name."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any


@lru_cache(maxsize=64)
def load_hook(hook: str) -> Any:
    """Return the function that `package.module:function` names; raises ValueError."""
    module, _, name = hook.partition(":")
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{hook!r}: {error}") from error
    if not callable(function):
        raise ValueError(f"{hook!r}: a {type(function).__name__}, not a function")
    return function


def known_hook(hook: str) -> str:
    """Return a hook's name; raises ValueError if there is no such function."""
    load_hook(hook)
    return hook
