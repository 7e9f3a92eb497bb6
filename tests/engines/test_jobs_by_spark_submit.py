"""The jobs of `jobs/spark` by themselves, as spark-submit runs them."""

from __future__ import annotations

import json
from pathlib import Path

from deltalake import DeltaTable
from gated_night import gated_night, judged, lines
from maintained import lost_file
from odd_night import manifest, read, settled
from sales_nights import SPARK
from small_night import DAY
from spark import submitted

from isopach.jobs.table_gate import InProcess

pytestmark = SPARK


def test_a_table_is_gated_exported_and_maintained(tmp_path: Path) -> None:
    night = gated_night(tmp_path)
    feed, to = str(tmp_path / "visits.yaml"), tmp_path / "plain"
    folder = Path(night.lake.path) / "visits/records"
    orphan = lost_file(night.lake)
    named = tmp_path / "files"
    named.write_text(f"business_date={DAY}/{orphan.name}\t4\t0\n")
    staged = DeltaTable(str(folder)).file_uris()
    gate, export, maintain = submitted(
        ["gate.py", feed, "--lake", night.lake.path, "--date", f"{DAY}", "--json"],
        ["export.py", feed, "--lake", night.lake.path, "--to", str(to), "--json"],
        ["maintain.py", "--table", str(folder), "--z-order", "site,id", "--files", str(named)],
    )
    assert (gate.code, export.code, maintain.code) == (3, 0, 0)

    there, here = json.loads(gate.out[-1]), judged(night, InProcess())
    assert (there["engine"], there["held"]) == ("spark", here.held)
    assert lines(night, there["run"]).rows() == lines(night, here.run).rows()

    assert json.loads(export.out[-1])["dates"][0]["rows"] == night.table("records").height
    assert manifest(to)["engine"] == "spark"
    assert read(night, to).equals(settled(night))

    assert set(DeltaTable(str(folder)).file_uris()).isdisjoint(staged)
    assert not orphan.exists()
    assert all(Path(uri).exists() for uri in staged), "no file goes that was not named"
    assert night.findings() == []
