"""Join what the waves of a run staged into one description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from isopach.lake.files import DataFile, write_file
from isopach.lake.replace import read_file
from isopach.lake.staged import Staged, read_waves, write_staged
from isopach.pipelines.nightly import Wave
from isopach.pipelines.staging import Target, totals_table
from isopach.transforms.salt import SaltingPlan
from isopach.transforms.totals import merge

TOTALS = "totals_"


def join_waves(target: Target, waves: Sequence[Wave], plan: SaltingPlan) -> Staged:
    """Return what a run's waves staged, and describe it in one file.

    Totals of a site whose groups were staged in several waves are merged, in memory.
    """
    staged = read_waves(target.folder) if waves else Staged()
    wave_of = {group: wave.number for wave in waves for group in wave.groups}
    if any(
        wave_of[share.first] != wave_of[share.first + share.salts - 1]
        for share in plan.shares.values()
        if waves
    ):
        files = {
            name: [merged(name, parts, target)] if name.startswith(TOTALS) else parts
            for name, parts in staged.files.items()
        }
        staged = replace(staged, files=files)
    write_staged(target.folder, staged)
    return staged


def merged(
    name: str, parts: list[DataFile], target: Target, more: Sequence[pa.RecordBatch] = ()
) -> DataFile:
    """Return one file with the merged rows of a total's files, which are deleted, and of others."""
    total = name.removeprefix(TOTALS)
    table = totals_table(target.feed, total)
    names = table.schema.names
    stored = [read_file(target.lake, table, part, names).drop("_mode", "_run") for part in parts]
    measures = pa.schema([field for field in table.schema if field.name not in ("_mode", "_run")])
    own = [batch for rows in stored for batch in rows.to_arrow().cast(measures).to_batches()]
    rows = merge([*own, *more], target.feed.totals[total])
    stamped = target.stamped(pa.Table.from_batches([rows]))
    file = write_file(target.lake, table, stamped, target.name())
    for part in parts:
        (table.place(target.lake) / part.path).delete()
    return file
