"""The mark that a stream's totals wait, because a gate failed; it outlives whoever set it."""

from __future__ import annotations

from isopach.lake.places import Place


def pause_totals(lake: Place, feed: str, reason: str) -> None:
    """Have totals wait for the next look that finds nothing."""
    _mark(lake, feed).write_bytes(reason.encode())


def resume_totals(lake: Place, feed: str) -> None:
    """Have totals go on, if they waited."""
    if (mark := _mark(lake, feed)).exists():
        mark.delete()


def totals_paused(lake: Place, feed: str) -> bool:
    """Tell whether totals wait."""
    return _mark(lake, feed).exists()


def _mark(lake: Place, feed: str) -> Place:
    return lake / f"{feed}/_staging/gate/totals-paused"
