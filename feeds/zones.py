"""IANA time zone names, checked."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """Return the names of all IANA time zones known here, but for those that name no place."""
    return frozenset(available_timezones() - {"Factory", "localtime"})


def known_zone(name: str) -> str:
    """Return the name of a time zone; raises ValueError with the nearest names if unknown."""
    if name in zones():
        return name
    near = get_close_matches(name, zones(), n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ", such as Europe/Berlin"
    raise ValueError(f"{name!r} is not an IANA time zone{hint}")


def _site_or_zone(name: str) -> str:
    return name if name == "site" else known_zone(name)


Zone = Annotated[str, AfterValidator(known_zone)]
ZoneName = Annotated[str, AfterValidator(_site_or_zone)]
