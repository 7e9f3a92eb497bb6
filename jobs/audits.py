"""Audit a night: the evidence on each window due, and the verdict on it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from isopach.expectations.audit import Evidence, reasons_to_hold
from isopach.feeds.load import Declaration
from isopach.feeds.sites import Site
from isopach.jobs.inputs import Scope
from isopach.lake import tables
from isopach.lake.places import Place
from isopach.lake.publish import LOG
from isopach.lake.replace import read_file
from isopach.lake.staged import Staged
from isopach.lake.verdicts import Verdict
from isopach.pipelines.deliveries import Delivery
from isopach.transforms.quarantine import UNREADABLE


def audit(
    scope: Scope, deliveries: list[Delivery], staged: Staged
) -> tuple[list[Verdict], list[str]]:
    """Return the verdict on each window due, and the sites whose deadline is still to come."""
    sites, day = scope.declaration.sites, scope.day
    unreadable = unreadable_files(scope.lake, scope.declaration, staged)
    verdicts = []
    for delivery in deliveries:
        evidence = replace(
            _counted(staged, delivery.site, day),
            declared=delivery.declared,
            registered=delivery.site in sites,
            problem=delivery.problem,
            unreadable=tuple(unreadable.get(delivery.site, ())),
        )
        reasons = "; ".join(reasons_to_hold(evidence)) or None
        said = (delivery.declared, delivery.name, delivery.delivered_at, delivery.manifest)
        verdicts.append(Verdict(delivery.site, day, reasons, *said))
    delivered = {delivery.site for delivery in deliveries}
    missing = [site for site in scope.due if site.site not in delivered]
    awaited = _awaited(missing, day)
    for site in missing:
        if site.site not in awaited:
            reason = "; ".join(reasons_to_hold(Evidence(delivered=False)))
            due = f"{reason}, due {deadline(site, day):%Y-%m-%d %H:%M} UTC"
            verdicts.append(Verdict(site.site, day, due))
    return sorted(verdicts, key=lambda verdict: verdict.site), awaited


def audit_events(scope: Scope, staged: Staged) -> tuple[list[Verdict], list[str]]:
    """Return the verdict on each site's window, its rows read from a log; see `audit`.

    Nobody declares how many rows a log should have, so that a site without any is held.
    """
    awaited = _awaited(scope.due, scope.day)
    verdicts = []
    for site in scope.due:
        if site.site in awaited:
            continue
        evidence = _counted(staged, site.site, scope.day)
        if not evidence.read:
            verdicts.append(Verdict(site.site, scope.day, "the log has no event of this date"))
            continue
        reasons = "; ".join(reasons_to_hold(evidence)) or None
        verdicts.append(Verdict(site.site, scope.day, reasons, None, LOG))
    return sorted(verdicts, key=lambda verdict: verdict.site), awaited


def _counted(staged: Staged, site: str, day: date) -> Evidence:
    counts = staged.counts.get((site, day), {})
    return Evidence(
        read=counts.get("read", 0),
        accepted=counts.get("accepted", 0),
        rejected=counts.get("rejected", 0),
        late=counts.get("late", 0),
        duplicate=counts.get("duplicate", 0),
    )


def _awaited(sites: list[Site], day: date) -> list[str]:
    now = datetime.now(UTC)
    return [site.site for site in sites if deadline(site, day) > now]


def deadline(site: Site, day: date) -> datetime:
    """Return when a site's delivery is due, in UTC: its local deadline on the following day."""
    local = datetime.combine(day + timedelta(days=1), site.deadline, ZoneInfo(site.time_zone))
    return local.astimezone(UTC)


def unreadable_files(lake: Place, declaration: Declaration, staged: Staged) -> dict[str, list[str]]:
    """Return what was wrong with files that could not be read, by site."""
    sites = {site for (site, _), tally in staged.counts.items() if tally["unreadable"]}
    found: dict[str, list[str]] = {}
    if not sites:
        return found
    table = tables.quarantine(declaration.feed.feed)
    for file in staged.files.get("quarantine", []):
        rows = read_file(lake, table, file, ["disposition", "site", "raw"])
        rows = rows.filter(pl.col("disposition") == UNREADABLE)
        for site, raw in rows.select("site", "raw").iter_rows():
            said = json.loads(raw)
            found.setdefault(site, []).append(f"{said['file'].rsplit('/', 1)[-1]}: {said['error']}")
    return found
