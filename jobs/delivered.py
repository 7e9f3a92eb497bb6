"""Deliveries as the input of a night."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from isopach.expectations.rules import row_rules
from isopach.jobs.audits import audit
from isopach.jobs.inputs import Scope
from isopach.jobs.runners import pipeline_on, run_to_end
from isopach.lake.places import Place
from isopach.lake.staged import Staged
from isopach.lake.verdicts import Verdict
from isopach.pipelines.deliveries import Delivery, find_deliveries
from isopach.pipelines.nightly import Wave, build
from isopach.pipelines.pieces import plan_pieces
from isopach.pipelines.staging import Target
from isopach.pipelines.waves import plan_waves
from isopach.transforms.salt import SaltingPlan, plan_salts


@dataclass(frozen=True)
class Deliveries:
    """The newest delivery of each site in a landing zone; planning raises LandingError."""

    landing: Place

    @property
    def parameters(self) -> dict[str, str]:
        return {"landing": self.landing.uri}

    def plan(self, scope: Scope, usual: Mapping[str, int], memory: int | None) -> Delivered:
        """Find what was delivered, and cut it into pieces and waves."""
        feed = scope.declaration.feed
        found = find_deliveries(self.landing, feed.feed, scope.day, scope.only)
        pieces = plan_pieces(self.landing, feed.feed, scope.day, found, usual)
        rows: Counter[str] = Counter()
        for piece in pieces:
            rows[piece.site] += piece.rows
        salting = plan_salts(rows, feed.salting.target_rows)
        waves = plan_waves(salting, pieces, memory) if pieces else []
        return Delivered(self.landing, scope, found, salting, waves)


@dataclass(frozen=True)
class Delivered:
    """Deliveries of a business date, planned."""

    landing: Place
    scope: Scope
    found: list[Delivery]
    salting: SaltingPlan
    waves: list[Wave]

    @property
    def rows(self) -> int:
        return sum(piece.rows for wave in self.waves for piece in wave.pieces)

    def stage(self, wave: Wave, target: Target, runner: str, beam: Sequence[str]) -> None:
        """Stage a wave's pieces."""
        declaration = self.scope.declaration
        pipeline = pipeline_on(runner, beam, max(len(wave.groups), len(wave.pieces)))
        build(
            pipeline,
            feed=declaration.feed,
            sites=declaration.sites,
            rules=row_rules(declaration.feed),
            landing=self.landing,
            target=target,
            plan=self.salting,
            wave=wave,
        )
        run_to_end(pipeline)

    def audit(self, staged: Staged) -> tuple[list[Verdict], list[str]]:
        """Judge each delivery, and each site without one."""
        return audit(self.scope, self.found, staged)
