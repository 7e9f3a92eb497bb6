"""The site registry: who sends, in which time zone, by when."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from isopach.feeds.days import day_bounds
from isopach.feeds.errors import DeclarationError, Fault, faults_of
from isopach.feeds.zones import Zone

IDENTIFIER = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def _clock(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"\d{2}:\d{2}", value):
        raise ValueError(f"{value!r} is not a time of day; write HH:MM, such as 02:00")
    return value


def _blank(value: Any) -> Any:
    return value or None


OptionalDate = Annotated[date | None, BeforeValidator(_blank)]


class Site(BaseModel):
    """A place that sends records; its deadline is local time on the day after the business date."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: str = Field(pattern=f"^{IDENTIFIER}$")
    name: str
    time_zone: Zone
    region: str = ""
    deadline: Annotated[time, BeforeValidator(_clock)]
    active_from: OptionalDate = None
    active_to: OptionalDate = None

    @model_validator(mode="after")
    def _ordered(self) -> Site:
        if self.active_from and self.active_to and self.active_to < self.active_from:
            raise ValueError(f"active_to {self.active_to} is before active_from {self.active_from}")
        return self

    def active(self, day: date) -> bool:
        """Tell whether the site sends on a business date (both ends inclusive)."""
        after = self.active_from is None or day >= self.active_from
        return after and (self.active_to is None or day <= self.active_to)


@dataclass(frozen=True)
class Sites:
    """The registered sites by id."""

    by_id: dict[str, Site]

    def __contains__(self, site: object) -> bool:
        return site in self.by_id

    def __iter__(self) -> Iterator[Site]:
        return iter(self.by_id.values())

    def __len__(self) -> int:
        return len(self.by_id)

    def zone(self, site: str) -> str:
        """Return a site's IANA time zone; UTC for one that is not registered."""
        return self.by_id[site].time_zone if site in self.by_id else "UTC"

    def window(self, site: str, day: date) -> tuple[int, int]:
        """Return the UTC interval `[start, end)` of a site's business date, in microseconds."""
        return day_bounds(day, self.zone(site))


def _always(line: int, _: object) -> int:
    return line


def load_sites(path: Path) -> Sites:
    """Read a site registry (CSV); raises DeclarationError naming line, field and value."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            rows = [(reader.line_num, values) for values in reader if values]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise DeclarationError([Fault(str(path), None, "", reason)]) from error
    if not rows:
        raise DeclarationError([Fault(str(path), None, "", "no sites: the registry is empty")])
    faults = list(_header_faults(header, str(path)))
    if faults:
        raise DeclarationError(faults)
    sites: dict[str, Site] = {}
    for line, values in rows:
        if len(values) != len(header):
            text = f"{len(values)} values, and the header names {len(header)} fields"
            faults.append(Fault(str(path), line, "", text))
            continue
        try:
            site = Site.model_validate(dict(zip(header, values, strict=True)))
        except ValidationError as error:
            faults += faults_of(error, str(path), partial(_always, line))
            continue
        if site.site in sites:
            faults.append(Fault(str(path), line, "site", f"{site.site!r} is registered twice"))
        sites[site.site] = site
    if faults:
        raise DeclarationError(faults)
    return Sites(sites)


def _header_faults(header: list[str], path: str) -> Iterator[Fault]:
    known = list(Site.model_fields)
    for name in header:
        if name not in known:
            yield Fault(
                path, 1, name, f"not a field that is known here; allowed: {', '.join(known)}"
            )
        elif header.count(name) > 1:
            yield Fault(path, 1, name, "stands twice")
    for name in known:
        if Site.model_fields[name].is_required() and name not in header:
            yield Fault(path, 1, name, "must be given")
