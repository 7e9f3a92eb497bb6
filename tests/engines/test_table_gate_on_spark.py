"""A table gated on Spark comes out as it does in this process, window by window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from gated_night import gated_night, judged, lines
from sales_nights import SPARK

from isopach.jobs.table_gate import InProcess

pytestmark = SPARK


def test_the_same_is_found_on_spark(spark: Any, tmp_path: Path) -> None:
    from isopach.jobs.spark.gate import OnSpark

    night = gated_night(tmp_path)
    assert night.findings() == []
    before = judged(night, InProcess())
    spark.sql(f"DELETE FROM delta.`{night.lake.path}/visits/records` WHERE site = 'kiritimati'")
    here, there = judged(night, InProcess()), judged(night, OnSpark(spark))
    assert replace(there, run=here.run) == here
    assert lines(night, there.run).rows() == lines(night, here.run).rows()
    assert here.passed
    assert here.failed
    assert here.warnings
    assert here.version > before.version
    assert len(here.held) == 3, "one of them has lost its rows"
