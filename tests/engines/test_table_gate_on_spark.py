"""A table gated on Spark comes out as it does in this process, window by window."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from gated_night import gated_night, judged, lines
from sales_nights import SPARK
from small_night import DAY, SmallNight
from spark import submitted

from isopach.jobs.table_gate import Engine, InProcess, Judged

pytestmark = SPARK


def assert_same_verdicts(night: SmallNight, engine: Engine) -> Judged:
    """Assert that both engines write the same lines and windows to the ledger; return them."""
    here, there = judged(night, InProcess()), judged(night, engine)
    assert replace(there, run=here.run) == here
    assert lines(night, there.run).rows() == lines(night, here.run).rows()
    return here


def test_the_same_is_found_on_spark(spark: Any, tmp_path: Path) -> None:
    from isopach.jobs.spark.gate import OnSpark

    night = gated_night(tmp_path)
    found = assert_same_verdicts(night, OnSpark(spark))
    assert found.passed
    assert found.failed
    assert found.warnings
    assert night.findings() == []
    spark.sql(f"DELETE FROM delta.`{night.lake.path}/visits/records` WHERE site = 'kiritimati'")
    lost = assert_same_verdicts(night, OnSpark(spark))
    assert len(lost.held) == 3
    assert lost.version > found.version


def test_the_job_by_itself(tmp_path: Path) -> None:
    night = gated_night(tmp_path)
    feed = f"{tmp_path}/visits.yaml"
    done = submitted("gate.py", feed, "--lake", night.lake.path, "--date", f"{DAY}", "--json")
    assert done.returncode == 3, done.stderr[-2000:]
    document = json.loads(done.stdout.splitlines()[-1])
    assert (document["engine"], document["held"]) == ("spark", judged(night, InProcess()).held)
