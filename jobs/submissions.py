"""What is checked of a submission before anything is sent; bad ones end with exit code 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isopach.jobs.arguments import bad_usage, declaration_of, err
from isopach.jobs.failures import explained

if TYPE_CHECKING:
    from isopach.feeds.load import Declaration


def sound_declaration(feed: str) -> Declaration:
    """Return a feed whose suites can be held against it as well: workers would find out late."""
    from isopach.expectations.checking import check_suites

    declaration = declaration_of(feed)
    with explained(err):
        check_suites(declaration)
    return declaration


def changes_of(changes: Sequence[str] | None, master: str | None) -> dict[str, Any]:
    """Return the settings that the command line changes, `a.b=1` within `a`."""
    import yaml

    given: dict[str, Any] = {} if master is None else {"master": master}
    for change in changes or ():
        name, equals, text = change.partition("=")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        if not equals or not name:
            bad_usage("--set", change, "is not NAME=VALUE")
        section, dot, inner = name.partition(".")
        if dot:
            given.setdefault(section, {})[inner] = value
        else:
            given[name] = value
    return given
