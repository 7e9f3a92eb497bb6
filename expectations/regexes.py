"""Regular expressions of Python, as Polars must be given them to match the same texts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import cache
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa

ESCAPE = r"\\(?:[!-/:-@\[-^`{-~]|[tnrfvdDwWsS]|x[0-9a-fA-F]{2})"
SINGLE = rf"(?:[^\\\[\]\-&~|]|&(?!&)|~(?!~)|\|(?!\|)|{ESCAPE})"
SHARED = re.compile(
    rf"(?:\(\?s\))?(?:[^\\.^$*+?{{}}\[\]|()]|{ESCAPE}|\\[AZ]|[.^$|)]"
    r"|[*+?]|\{\d{1,3}(?:,\d{0,3})?\}"
    r"|\((?:\?s?:|\?P<[A-Za-z]\w*>|(?!\?))"
    rf"|\[\^?-?(?:{SINGLE}(?:-{SINGLE})?)+-?\])*",
    re.ASCII,
)
"""What Python and RE2 read alike.

pandas asks RE2 or, if it sees that RE2 would answer otherwise (`\\s`; `\\d` or `\\w` where there
are more than ASCII characters; `$` where there are newlines), Python. So what is matched is what
Python matches, as long as both read the pattern in the same way: POSIX classes, `{,3}`, `(?i)`,
comments and more are read differently, or by one of them only.
"""


class Refused(Exception):
    """What cannot be compiled to give exactly the same answer, and why."""


def to_rust(pattern: str) -> str:
    """Return a pattern for Polars that is found in the same texts.

    Raises ValueError if it is no regular expression, Refused if it cannot be translated.
    """
    try:
        _ask_pandas(pattern)
        if not SHARED.fullmatch(pattern):
            raise Refused(f"{pattern!r} has parts that are not read alike by Python and RE2")
        tree = _parser.parse(pattern)
    except (re.error, pa.ArrowInvalid, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression that pandas takes: {error}") from error
    found = _sequence(tree, bool(tree.state.flags & re.DOTALL), tail=True)
    try:
        pl.Series([""]).str.contains(found)
    except pl.exceptions.ComputeError as error:
        raise Refused(f"{pattern!r} is too large") from error
    return found


def _ask_pandas(pattern: str) -> None:
    """Search a text; raises as pandas does where it cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pd.Series(["a"], dtype="str").str.contains(pattern)


def _sequence(nodes: Iterable[Any], dotall: bool, *, tail: bool, anchors: bool = True) -> str:
    """Translate nodes that follow each other; `tail` if nothing follows the last of them."""
    several = list(nodes)
    last = len(several) - 1
    return "".join(
        _node(code, value, dotall, tail=tail and place == last, anchors=anchors)
        for place, (code, value) in enumerate(several)
    )


def _node(code: Any, value: Any, dotall: bool, *, tail: bool, anchors: bool) -> str:
    if code is op.LITERAL:
        return _character(value)
    if code is op.NOT_LITERAL:
        return f"[^{_character(value)}]"
    if code is op.ANY:
        return "(?s:.)" if dotall else r"[^\n]"
    if code is op.IN:
        return _class(value)
    if code is op.BRANCH:
        parts = (_sequence(part, dotall, tail=tail, anchors=anchors) for part in value[1])
        return f"(?:{'|'.join(parts)})"
    if code is op.SUBPATTERN:
        _, added, _, inner = value
        within = dotall or bool(added & re.DOTALL)
        return f"(?:{_sequence(inner, within, tail=tail, anchors=anchors)})"
    if code in (op.MAX_REPEAT, op.MIN_REPEAT):
        low, high, inner = value
        most = "" if high is op.MAXREPEAT else high
        return f"(?:{_sequence(inner, dotall, tail=False, anchors=False)}){{{low},{most}}}"
    if code is op.AT and anchors:
        return _anchor(value, tail)
    raise Refused(f"{code} has no exact equivalent there")


def _anchor(where: Any, tail: bool) -> str:
    if where in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
        return r"\A"
    if where is op.AT_END_STRING:
        return r"\z"
    if where is op.AT_END and tail:
        return r"\n?\z"  # Python's `$` is before a newline at the end, too
    raise Refused("'$' is not at the end of the pattern")


def _class(items: list[Any]) -> str:
    negated = items[0][0] is op.NEGATE
    parts = "".join(_item(*item) for item in items[negated:])
    return f"[{'^' if negated else ''}{parts}]"


def _item(code: Any, value: Any) -> str:
    if code is op.LITERAL:
        return _character(value)
    if code is op.RANGE:
        return f"{_character(value[0])}-{_character(value[1])}"
    return f"[{_category(str(value))}]"


def _character(point: int) -> str:
    if 0xD800 <= point <= 0xDFFF:
        raise Refused("it has half of a surrogate pair, which no text has")
    return f"\\x{{{point:x}}}"


@cache
def _category(name: str) -> str:
    r"""Return the characters of `\d`, `\s`, `\w` or a negation, as this Python's Unicode has them.

    Those of Rust are of another version of Unicode, and its `\w` has combining marks.
    """
    letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[name.split("_")[-1]]
    every = "".join(map(chr, range(0x110000)))
    runs = re.finditer(rf"\{letter}+", every)
    ranges = "".join(f"\\x{{{run.start():x}}}-\\x{{{run.end() - 1:x}}}" for run in runs)
    return ("^" if "_NOT_" in name else "") + ranges
