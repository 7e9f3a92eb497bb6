"""Waves: a night larger than memory, as several bounded pipelines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil

from isopach.pipelines.nightly import Wave
from isopach.pipelines.pieces import Piece
from isopach.transforms.salt import SaltingPlan
from isopach.transforms.threads import threads

PROCESS_BYTES = 450 << 20
"""What the process takes before it reads a row."""
SHUFFLED_COPIES = 1.25
"""How often a wave's rows are in memory, packed: what the embedded runner keeps to group them."""
STAGED_COPIES = 4.5
"""How often a group's rows are in memory while staged: unpacked, joined, filtered, written."""


def plan_waves(plan: SaltingPlan, pieces: Sequence[Piece], memory: int | None) -> list[Wave]:
    """Return waves whose rows fit a budget of memory (bytes; None: all in one wave).

    A group is never split: the smallest budget that works holds the largest group.
    """
    return _waves(plan, pieces, runs_of_groups(_group_bytes(plan, pieces), memory))


def runs_of_groups(weight: list[int], memory: int | None) -> list[list[int]]:
    """Return groups of these bytes in runs that fit a budget of memory."""
    budget = _budget(memory, max(weight, default=0)) if memory else float("inf")
    return _even(weight, budget)


def _even(weight: list[int], budget: float) -> list[list[int]]:
    """Cut the groups into as few runs as the budget allows, of about the same bytes."""
    total = sum(weight)
    share = total / ceil(total / budget) if 0 < budget < total else max(budget, 0)
    runs: list[list[int]] = [[]]
    filled = 0
    for group, size in enumerate(weight):
        if runs[-1] and (filled + size > budget or filled >= share):
            runs.append([])
            filled = 0
        runs[-1].append(group)
        filled += size
    return runs


def _budget(memory: int, largest: int) -> float:
    """Return the bytes of rows that a wave may have, as many groups being staged as threads."""
    staged = (threads() + 1) * STAGED_COPIES * largest
    return max(memory - PROCESS_BYTES - staged, 0) / SHUFFLED_COPIES


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
    wave_of = {group: number for number, groups in enumerate(batches) for group in groups}
    mine: list[list[Piece]] = [[] for _ in batches]
    counted: list[set[str]] = [set() for _ in batches]
    for piece in pieces:
        share = plan.shares[piece.site]
        numbers = sorted({wave_of[share.first + salt] for salt in range(share.salts)})
        counted[numbers[0]].add(piece.site)
        for number in numbers:
            mine[number].append(piece)
    return [
        Wave(number, frozenset(groups), tuple(mine[number]), frozenset(counted[number]))
        for number, groups in enumerate(batches)
    ]
