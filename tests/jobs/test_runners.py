"""What runners of bounded pipelines have Beam remember is what it finds."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.transforms import userstate

from isopach.jobs import runners  # noqa: F401

STATE = userstate.ReadModifyWriteStateSpec("seen", VarIntCoder())
TIMER = userstate.TimerSpec("end", beam.TimeDomain.WATERMARK)


class Stateful(beam.DoFn):
    def process(
        self,
        element: tuple[str, int],
        seen: Any = beam.DoFn.StateParam(STATE),
        end: Any = beam.DoFn.TimerParam(TIMER),
    ) -> None: ...


class Twice(beam.DoFn):
    def process(
        self,
        element: tuple[str, int],
        seen: Any = beam.DoFn.StateParam(STATE),
        again: Any = beam.DoFn.StateParam(STATE),
    ) -> None: ...


class Plain(beam.DoFn):
    def process(self, element: int) -> None: ...


def test_states_and_timers_of_each_class_are_found() -> None:
    for _ in range(2):
        assert userstate.get_dofn_specs(Stateful()) == ({STATE}, {TIMER})
        assert userstate.get_dofn_specs(Plain()) == (set(), set())
        assert userstate.is_stateful_dofn(Stateful())
        assert not userstate.is_stateful_dofn(beam.Map(str).fn)


def test_what_is_found_is_nobodys_to_change() -> None:
    userstate.get_dofn_specs(Stateful())[0].clear()
    assert userstate.get_dofn_specs(Stateful())[0] == {STATE}


def test_methods_of_an_instance_are_looked_at() -> None:
    plain = Plain()
    assert userstate.get_dofn_specs(plain) == (set(), set())
    plain.process = Stateful().process  # type: ignore[method-assign]
    assert userstate.get_dofn_specs(plain) == ({STATE}, {TIMER})


def test_a_parameter_that_is_there_twice_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="duplicate process method parameters"):
            userstate.get_dofn_specs(Twice())
