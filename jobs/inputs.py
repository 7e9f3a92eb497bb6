"""What a night is run over: the deliveries of a business date, or its rows in a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from isopach.feeds.load import Declaration
from isopach.feeds.sites import Site
from isopach.lake.places import Place
from isopach.lake.staged import Staged
from isopach.lake.verdicts import Verdict
from isopach.pipelines.nightly import Wave
from isopach.pipelines.staging import Target
from isopach.transforms.salt import SaltingPlan


@dataclass(frozen=True)
class Scope:
    """The business date of a night, and the sites it is run for (None: all)."""

    declaration: Declaration
    lake: Place
    day: date
    only: frozenset[str] | None = None

    @property
    def due(self) -> list[Site]:
        """The sites that send on the date, of those that the night is run for."""
        sites = [site for site in self.declaration.sites if site.active(self.day)]
        return [site for site in sites if self.only is None or site.site in self.only]


class Planned(Protocol):
    """What is to be staged, in waves that each fit the memory, and then judged."""

    @property
    def waves(self) -> Sequence[Wave]: ...

    @property
    def salting(self) -> SaltingPlan: ...

    @property
    def rows(self) -> int:
        """How many rows are read, all waves together."""
        ...

    def stage(self, wave: Wave, target: Target, runner: str, beam: Sequence[str]) -> None:
        """Run the pipeline of one wave."""
        ...

    def audit(self, staged: Staged) -> tuple[list[Verdict], list[str]]:
        """Return the verdict on each window due, and the sites whose deadline is to come."""
        ...


class Input(Protocol):
    """Where a night's rows are from."""

    @property
    def parameters(self) -> dict[str, str]:
        """What a run over it is recorded with."""
        ...

    def plan(self, scope: Scope, usual: Mapping[str, int], memory: int | None) -> Planned:
        """Look at what there is and plan it.

        Args:
            usual: rows of each site on an earlier night.
            memory: bytes that the process may take; None for no bound.
        """
        ...
