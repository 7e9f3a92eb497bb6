"""Audit a window before it is published: its counts must add up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """What is known of one site's business date when a run has staged it."""

    read: int = 0
    accepted: int = 0
    rejected: int = 0
    late: int = 0
    duplicate: int = 0
    declared: int | None = None
    delivered: bool = True
    registered: bool = True
    problem: str | None = None
    unreadable: tuple[str, ...] = ()


def reasons_to_hold(evidence: Evidence) -> list[str]:
    """Return why a window must not be published, each with its figures; none if it may be."""
    return list(_reasons(evidence))


def _reasons(seen: Evidence) -> Iterator[str]:
    if not seen.registered:
        yield "site is not registered: add it to the site registry, then run the night again"
    if seen.problem:
        yield f"delivery cannot be used: {seen.problem}"
        return
    if not seen.delivered:
        yield "not delivered"
        return
    yield from (f"unreadable file: {text}" for text in seen.unreadable)
    if seen.declared is not None and seen.declared != seen.read:
        missing = seen.read - seen.declared
        yield f"declared {seen.declared:,} rows, read {seen.read:,} ({missing:+,})"
    set_aside = seen.rejected + seen.late + seen.duplicate
    if seen.read != seen.accepted + set_aside:
        yield (
            f"read {seen.read:,} rows, but {seen.accepted:,} accepted, {seen.rejected:,} rejected, "
            f"{seen.late:,} late and {seen.duplicate:,} duplicate are {seen.accepted + set_aside:,}"
        )
    if seen.read == 0 and seen.declared != 0 and not seen.unreadable:
        yield "no rows, and the manifest does not declare zero"
