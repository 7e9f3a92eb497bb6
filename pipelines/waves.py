"""Waves: a night larger than memory, as several bounded pipelines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from isopach.pipelines.nightly import Wave
from isopach.pipelines.pieces import Piece
from isopach.transforms.salt import SaltingPlan

PROCESS_BYTES = 600 << 20
"""What the process takes before it reads a row."""
COPIES = 5
"""How often a row is in memory at once at the peak: as read, shuffled, gathered and written."""


def plan_waves(plan: SaltingPlan, pieces: Sequence[Piece], memory: int | None) -> list[Wave]:
    """Return waves whose rows fit a budget of memory (bytes; None: all in one wave).

    A group is never split: the smallest budget that works holds the largest group.
    """
    weight = _group_bytes(plan, pieces)
    budget = max(memory - PROCESS_BYTES, 0) / COPIES if memory else float("inf")
    batches: list[list[int]] = [[]]
    filled = 0
    for group, size in enumerate(weight):
        if batches[-1] and filled + size > budget:
            batches.append([])
            filled = 0
        batches[-1].append(group)
        filled += size
    return _waves(plan, pieces, batches)


def _group_bytes(plan: SaltingPlan, pieces: Sequence[Piece]) -> list[int]:
    """Return what each group takes in memory, a heavy site's bytes shared among its salts."""
    by_site: Counter[str] = Counter()
    for piece in pieces:
        by_site[piece.site] += piece.in_memory
    weight = [0] * len(plan.rows)
    for site, size in by_site.items():
        share = plan.shares[site]
        for group in range(share.first, share.first + share.salts):
            weight[group] += size // share.salts
    return weight


def _waves(plan: SaltingPlan, pieces: Sequence[Piece], batches: list[list[int]]) -> list[Wave]:
    waves: list[Wave] = []
    seen: set[str] = set()
    for number, groups in enumerate(batches):
        chosen = frozenset(groups)
        sites = {
            site
            for site, share in plan.shares.items()
            if not chosen.isdisjoint(range(share.first, share.first + share.salts))
        }
        mine = tuple(piece for piece in pieces if piece.site in sites)
        waves.append(Wave(number, chosen, mine, frozenset(sites - seen)))
        seen |= sites
    return waves
