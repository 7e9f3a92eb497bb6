"""How runs end: finished, given up, or killed and finished by the next."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from deltalake.exceptions import DeltaError

from isopach.feeds.load import Declaration
from isopach.lake.commits import newest, version
from isopach.lake.ledger import Run, record_run, runs_under_way
from isopach.lake.places import Place
from isopach.lake.publish import publish
from isopach.lake.replays import CADENCE, folder_of, read_parts, unfinished
from isopach.lake.staged import Staged
from isopach.lake.tables import FeedTables, Table
from isopach.lake.verdicts import PUBLISHED, VERDICTS
from isopach.lake.waiting import held_windows
from isopach.lake.windows import reopen
from isopach.pipelines.replay_followers import follow
from isopach.pipelines.staging import Target, staging
from isopach.transforms.threads import wait_until_idle


def finish_killed(lake: Place, to: FeedTables, alive: Collection[str] = ()) -> None:
    """Finish what killed runs were publishing, and delete what others of them had staged.

    Args:
        alive: runs that publish by themselves.
    """
    place = staging(lake, to.feed)
    for entry in place.entries() if place.exists() else ():
        folder = place / entry.base_name
        if entry.base_name in alive:
            continue
        if (folder / VERDICTS).exists() and not (folder / PUBLISHED).exists():
            publish(lake, to, entry.base_name, folder)
            (folder / PUBLISHED).write_bytes(b"")
    for run in runs_under_way(lake, to.feed):
        if not run.killed or run.mode != "batch" or run.cadence == CADENCE:
            continue
        published = (place / run.run / PUBLISHED).exists()
        if not published:
            reopen(lake, to.feed, run.run)
            delete_staged(lake, to, run.run)
        outcome = "killed; published by the next run" if published else "killed"
        record_run(lake, run.ended_as(outcome, versions(lake, to)))


def finish_replays(declaration: Declaration, lake: Place, to: FeedTables) -> None:
    """Have all tables follow what replays that were killed, or failed, had put into records."""
    feed, under_way = declaration.feed, {run.run: run for run in runs_under_way(lake, to.feed)}
    begun = list(unfinished(lake, to.feed))
    for name in begun:
        run = under_way.get(name)
        if run is not None and run.here and not run.killed:
            continue  # it does so itself
        follow(lake, feed, declaration.sites, name)
        if run is None or run.killed:
            clean_up_replay(lake, to, name)
    for run in under_way.values():
        if run.cadence == CADENCE and run.killed:
            outcome = "killed; finished by the next run" if run.run in begun else "killed"
            record_run(lake, run.ended_as(outcome, versions(lake, to)))


def clean_up_replay(lake: Place, to: FeedTables, run: str) -> None:
    """Delete what describes a replay that all tables have followed, and files it did not land."""
    folder = folder_of(lake, to.feed, run)
    landed = {
        path for part in read_parts(folder, newest(lake, to.records), run) for path in part.files
    }
    for path in files_of(lake, to.records, run):
        if path not in landed:
            (to.records.place(lake) / path).delete()
    folder.delete()


def finish(lake: Place, to: FeedTables, run: Run, target: Target, outcome: str) -> None:
    """Record how a run ended; what it staged for windows that are held stays."""
    (target.folder / PUBLISHED).write_bytes(b"")
    record_run(lake, run.ended_as(outcome, versions(lake, to)))
    forget_staged(lake, to.feed)


def forget_staged(lake: Place, feed: str) -> None:
    """Delete what published runs have staged, but for those of which windows still wait."""
    runs = set(held_windows(lake, feed)["run"])
    place = staging(lake, feed)
    for entry in place.entries():
        folder = place / entry.base_name
        if entry.base_name not in runs and (folder / PUBLISHED).exists():
            folder.delete()


def end_killed_streams(lake: Place, to: FeedTables) -> list[Run]:
    """Close the rows of killed streams in the ledger; return those of streams that live.

    What they landed stays, and what they left half done the next committer finishes.
    """
    streams = [run for run in runs_under_way(lake, to.feed) if run.mode == "stream"]
    for run in streams:
        if run.killed:
            record_run(lake, run.ended_as("killed", versions(lake, to)))
    return [run for run in streams if not run.killed]


def give_up(lake: Place, run: Run, error: BaseException) -> None:
    """Record that a run failed."""
    try:
        record_run(lake, run.ended_as(f"failed: {type(error).__name__}: {error}"[:2000], {}))
    except (OSError, DeltaError) as second:
        error.add_note(f"and the ledger could not be told: {second}")


def versions(lake: Place, to: FeedTables) -> dict[str, int | None]:
    """Return the versions of a feed's tables."""
    return {table.name: version(lake, table) for table in to.all}


def abandon(lake: Place, to: FeedTables, run: Run, target: Target, error: BaseException) -> None:
    """Delete what a failed run staged, unless it is being published, and record the failure."""
    wait_until_idle()
    if not (target.folder / VERDICTS).exists():
        reopen(lake, to.feed, run.run)
        delete_staged(lake, to, run.run)
    give_up(lake, run, error)


def delete_staged(lake: Place, to: FeedTables, run: str) -> None:
    """Delete a run's staging folder, and the files that are named after it."""
    for table in to.all:
        for path in files_of(lake, table, run):
            (table.place(lake) / path).delete()
    (staging(lake, to.feed) / run).delete()


def delete_unpublished(lake: Place, to: FeedTables, staged: Staged) -> None:
    """Delete files that a run has staged and nobody will publish any more."""
    for table in to.all:
        now = newest(lake, table)
        there = {file.path for file in now.files} if now else set()
        for file in staged.files.get(table.name.removeprefix(f"{to.feed}/"), []):
            if file.path not in there:
                (table.place(lake) / file.path).delete()


def files_of(lake: Place, table: Table, run: str) -> Iterator[str]:
    """Yield the files below a table's folder that are named after a run."""
    place = table.place(lake)
    for folder in place.entries() if place.exists() else ():
        if folder.base_name.startswith("business_date="):
            for file in (place / folder.base_name).entries():
                if file.base_name.startswith(run):
                    yield f"{folder.base_name}/{file.base_name}"
