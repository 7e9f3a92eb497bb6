from __future__ import annotations

import copyreg
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

import apache_beam as beam
import pyarrow as pa
import pytest
import yaml
from apache_beam.coders import coders, registry
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from isopach.feeds.load import Declaration, load_declaration
from isopach.feeds.rules import declared_rules
from isopach.lake.places import Place
from isopach.pipelines.deliveries import find_deliveries
from isopach.pipelines.nightly import Wave, build
from isopach.pipelines.pieces import plan_pieces
from isopach.pipelines.staging import Target
from isopach.transforms.batches import BatchCoder, pack
from isopach.transforms.salt import plan_salts

DAY = date(2026, 3, 8)
PICKLES = (coders.FastPrimitivesCoder, coders.PickleCoder, coders.DillCoder)
WITHOUT_BATCHES = {
    "Pieces/MaybeReshuffle/Reshuffle/ReshufflePerKey/GroupByKey",
    "Count sites/Sum per window/GroupByKey",
    "Describe/Gather described",
}
"""Shuffles of plain data, which may be pickled."""
FEED = {
    "feed": "till",
    "columns": {
        "id": {"type": "string", "required": True},
        "store": {"type": "string", "required": True},
        "at": {"type": "timestamp", "required": True},
        "count": "int32",
    },
    "site": "store",
    "key": ["id"],
    "event_time": "at",
    "totals": {"all": {"by": [], "measures": {"rows": "count", "count": "sum"}}},
}


@pytest.fixture
def declaration(tmp_path: Path) -> Declaration:
    """Return a feed with deliveries of two sites: good, doubled and bad rows, and a broken file."""
    (tmp_path / "till.yaml").write_text(yaml.safe_dump(FEED))
    (tmp_path / "sites.csv").write_text(
        "site,name,time_zone,deadline\nA,a,UTC,02:00\nB,b,Asia/Kathmandu,02:00\n"
    )
    for site in "AB":
        rows = [{"id": f"{n % 9}", "store": site, "at": f"{DAY}T06:00:00Z"} for n in range(10)]
        lines = [json.dumps(row) for row in rows] + ['{"id": "x"}']
        folder = tmp_path / "landing" / "till" / f"{DAY}" / site / "d1"
        folder.mkdir(parents=True)
        (folder / "rows.jsonl").write_text("\n".join(lines))
        (folder / "broken.parquet").write_bytes(b"PAR1")
        names = ["rows.jsonl", "broken.parquet"]
        manifest = {
            "site": site,
            "business_date": f"{DAY}",
            "delivery": "d1",
            "rows": 11,
            "files": [{"name": name, "rows": None} for name in names],
            "delivered_at": "2026-03-09T00:00:00Z",
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return load_declaration(str(tmp_path / "till.yaml"))


def night(declaration: Declaration, pipeline: beam.Pipeline) -> Target:
    """Build the nightly flow over the deliveries; sites are split, so that all steps are there."""
    folder = declaration.path.parent
    landing, feed = Place.of(folder / "landing"), declaration.feed
    target = Target(Place.of(folder / "lake"), feed, "run1")
    deliveries = find_deliveries(landing, feed.feed, DAY, None)
    pieces = tuple(plan_pieces(landing, feed.feed, DAY, deliveries, {"A": 11, "B": 11}))
    plan = plan_salts({"A": 11, "B": 11}, 4)
    build(
        pipeline,
        feed=feed,
        sites=declaration.sites,
        rules=declared_rules(feed),
        landing=landing,
        target=target,
        plan=plan,
        wave=Wave(0, frozenset(range(len(plan.rows))), pieces, frozenset("AB")),
    )
    return target


class Shuffles(PipelineVisitor):  # type: ignore[misc]
    """The type of what each GroupByKey of a pipeline is given, by its label."""

    def __init__(self) -> None:
        self.types: dict[str, Any] = {}

    def visit_transform(self, node: AppliedPTransform) -> None:
        if isinstance(node.transform, beam.GroupByKey):
            (given,) = node.inputs
            self.types[node.full_label] = given.element_type


def parts(coder: coders.Coder) -> Iterator[coders.Coder]:
    yield coder
    for part in coder._get_component_coders():
        yield from parts(part)


def test_batches_cross_every_shuffle_of_the_night_by_their_own_coder(
    declaration: Declaration,
) -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    night(declaration, pipeline)
    seen = Shuffles()
    pipeline.visit(seen)
    found = {label: [*parts(registry.get_coder(kind))] for label, kind in seen.types.items()}
    pickled = {
        label for label, all_of in found.items() if any(isinstance(c, PICKLES) for c in all_of)
    }
    assert pickled <= WITHOUT_BATCHES
    coded = {label for label, all_of in found.items() if any(map(is_batch_coder, all_of))}
    assert coded == {"Group quarantine", "Group totals", "Totals/Gather parts of totals"}
    assert "Group" in found, "the accepted rows, which are packed already"
    assert not any(isinstance(coder, PICKLES) for coder in found["Group"])


def is_batch_coder(coder: coders.Coder) -> bool:
    return isinstance(coder, BatchCoder)


def refuse(_: pa.RecordBatch) -> NoReturn:
    raise AssertionError("a batch was pickled")


@pytest.fixture
def no_pickled_batches() -> Iterator[None]:
    copyreg.pickle(pa.RecordBatch, refuse)  # type: ignore[arg-type]
    copyreg.pickle(pa.Table, refuse)  # type: ignore[arg-type]
    yield
    del copyreg.dispatch_table[pa.RecordBatch], copyreg.dispatch_table[pa.Table]


@pytest.mark.usefixtures("no_pickled_batches")
def test_no_batch_is_pickled_while_a_night_runs(declaration: Declaration) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        target = night(declaration, pipeline)
    (described,) = target.folder.entries()
    items = json.loads((target.folder / described.base_name).read_bytes())
    found = {item["table"] for item in items}
    assert found == {"records", "quarantine", "counts", "totals_all"}
    rows = [item["file"]["rows"] for item in items if item["table"] == "quarantine"]
    assert sum(rows) == 2 * 3  # a duplicate, a bad row and a broken file each


@pytest.mark.usefixtures("no_pickled_batches")
def test_pickled_batch_would_be_noticed() -> None:
    batch = pa.record_batch({"a": [1]})
    with (
        pytest.raises(Exception, match="a batch was pickled"),
        beam.Pipeline(runner=FnApiRunner()) as pipeline,
    ):
        _ = (
            pipeline
            | beam.Create([pack(batch)])
            | beam.Map(_untyped).with_output_types(Any)
            | beam.GroupByKey()
        )


def _untyped(packed: bytes) -> Any:
    from isopach.transforms.batches import unpack

    return 1, unpack(packed)
