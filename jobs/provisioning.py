"""What is provisioned for feeds: cadences, and a night for each time zone and deadline."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from isopach.feeds.errors import DeclarationError, Fault
from isopach.feeds.load import Declaration

FILE = "feeds.auto.tfvars.json"
"""What Terraform reads by itself in an environment's folder."""
LONGEST = 40
"""Of a night's name: with a date it must fit into the name of a job."""
STEP = timedelta(minutes=1)
HALF_DAY = timedelta(hours=12)


def feeds_variable(declared: Iterable[Declaration], grace: timedelta, year: int) -> dict[str, Any]:
    """Return the variable `feeds`: of each feed its cadence and nights.

    Args:
        grace: how long after a deadline a night starts.
        year: of which, and the next, the days are looked at for hours that clocks leave out.
    """
    feeds: dict[str, Any] = {}
    for one in declared:
        if one.feed.feed in feeds:
            text = f"{one.feed.feed!r} is given twice"
            raise DeclarationError([Fault(str(one.path), None, "feed", text)])
        nights = {_name(one, zone, due): (zone, due, sites) for zone, due, sites in _due(one)}
        feeds[one.feed.feed] = {
            "cadence": one.feed.cadence,
            "nights": {name: _night(*night, grace, year) for name, night in nights.items()},
        }
    return {"feeds": feeds}


def _due(declared: Declaration) -> Iterator[tuple[str, time, list[str]]]:
    """Yield each time zone and deadline of a feed, with its sites."""
    together = defaultdict(list)
    for site in declared.sites:
        together[site.time_zone, site.deadline].append(site.site)
    for (zone, due), sites in sorted(together.items()):
        yield zone, due, sorted(sites)


def _name(declared: Declaration, zone: str, due: time) -> str:
    """Return a night's name; one that is too long is cut, and a hash keeps it apart."""
    text = f"{declared.feed.feed}-{zone}-{due:%H%M}".lower()
    name = re.sub(r"[^a-z0-9]+", "-", text).strip("-")
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 7].rstrip('-')}-{sha256(text.encode()).hexdigest()[:6]}"


def _night(zone: str, due: time, sites: list[str], grace: timedelta, year: int) -> dict[str, Any]:
    start = start_of(zone, due, grace, year)
    return {
        "time_zone": zone,
        "deadline": f"{due:%H:%M}",
        "run_at": f"{datetime.min + start:%H:%M}",
        "back_seconds": back_seconds(zone, start, year),
        "sites": sites,
    }


def start_of(zone: str, due: time, grace: timedelta, year: int) -> timedelta:
    """Return when a night starts, since midnight: at a local time that each day has exactly once.

    A schedule skips a time that clocks leave out, and may run twice at one that they repeat.
    """
    shifts = list(_shifted(ZoneInfo(zone), year))
    start = timedelta(hours=due.hour, minutes=due.minute) + grace
    while any(first <= (datetime.min + start).time() < last for first, last in shifts):
        start += STEP
    return start


def _shifted(zone: ZoneInfo, year: int) -> Iterator[tuple[time, time]]:
    """Yield the local times that some day leaves out or repeats."""
    first, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 2, 1, 1, tzinfo=UTC)
    for day, after in _changes(zone, first, end, timedelta(days=1)):
        for _, moment in _changes(zone, day, after, timedelta(minutes=15)):
            offsets = (_offset(zone, moment - STEP), _offset(zone, moment))
            low, high = ((moment + offset).time() for offset in sorted(offsets))
            yield low, high if high > low else time.max


def _changes(
    zone: ZoneInfo, first: datetime, end: datetime, step: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the steps within which a zone's offset changes."""
    while first < end:
        if _offset(zone, first) != _offset(zone, first + step):
            yield first, first + step
        first += step


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def back_seconds(zone: str, start: timedelta, year: int) -> int:
    """Return how long before a night's start it is noon of its business date, were the zone UTC.

    What schedules know is the clock of UTC. Noon is far enough from midnight for clocks that are
    put forward or back not to matter, and for a start that is delayed by hours.
    """
    months = (datetime(year, month, 1, tzinfo=UTC) for month in range(1, 13))
    offset = min(_offset(ZoneInfo(zone), month) for month in months)
    return int((start + HALF_DAY - offset).total_seconds())


def written(variables: dict[str, Any]) -> str:
    return json.dumps(variables, indent=2) + "\n"


def drift(path: Path, wanted: Any) -> list[str]:
    """Return the values of a file that are not those of the declarations, one a line.

    Raises DeclarationError where the file cannot be read.
    """
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [f"{path}: is not there"]
    except (OSError, ValueError) as error:
        raise DeclarationError([Fault(str(path), None, "", str(error))]) from error
    return [f"{path}: {line}" for line in _differing("", there, wanted)]


def _differing(at: str, there: Any, wanted: Any) -> Iterator[str]:
    if isinstance(there, dict) and isinstance(wanted, dict):
        for name in sorted({*there, *wanted}):
            inner = f"{at}.{name}" if at else name
            if name not in wanted:
                yield f"{inner}: is there, and is not declared"
            elif name not in there:
                yield f"{inner}: is declared, and is not there"
            else:
                yield from _differing(inner, there[name], wanted[name])
    elif isinstance(there, list) and isinstance(wanted, list) and there != wanted:
        more, fewer = sorted({*wanted} - {*there}), sorted({*there} - {*wanted})
        yield f"{at}: lacks {', '.join(more) or 'none'}; has too many: {', '.join(fewer) or 'none'}"
    elif there != wanted:
        yield f"{at}: {there!r}, and {wanted!r} is declared"
