"""How runs end: finished, given up, or killed and finished by the next."""

from __future__ import annotations

from deltalake.exceptions import DeltaError

from isopach.lake.commits import version
from isopach.lake.ledger import Run, record_run
from isopach.lake.places import Place
from isopach.lake.publish import VERDICTS, FeedTables, publish
from isopach.pipelines.staging import Target, staging
from isopach.transforms.threads import wait_until_idle

PUBLISHED = "published"
"""The mark on a staging folder whose verdicts are carried out."""


def finish_killed(lake: Place, to: FeedTables) -> None:
    """Finish what runs were publishing when they were killed."""
    place = staging(lake, to.feed)
    if not place.exists():
        return
    for entry in place.entries():
        folder = place / entry.base_name
        if (folder / VERDICTS).exists() and not (folder / PUBLISHED).exists():
            publish(lake, to, entry.base_name, folder)
            (folder / PUBLISHED).write_bytes(b"")


def finish(lake: Place, to: FeedTables, run: Run, target: Target, outcome: str) -> None:
    """Record how a run ended; what it staged for windows that are held stays."""
    record_run(lake, run.ended_as(outcome, _versions(lake, to)))
    if outcome == "held":
        (target.folder / PUBLISHED).write_bytes(b"")
    else:
        target.folder.delete()


def _versions(lake: Place, to: FeedTables) -> dict[str, int | None]:
    feed_own = [to.records, to.quarantine, *to.totals.values()]
    return {table.name: version(lake, table) for table in feed_own}


def abandon(lake: Place, to: FeedTables, run: Run, target: Target, error: BaseException) -> None:
    """Delete what a failed run staged, unless it is being published, and record the failure."""
    wait_until_idle()
    if not (target.folder / VERDICTS).exists():
        for table in (to.records, to.quarantine, *to.totals.values()):
            _delete_files_of(table.place(lake), run.run)
        target.folder.delete()
    try:
        record_run(lake, run.ended_as(f"failed: {type(error).__name__}: {error}"[:2000], {}))
    except (OSError, DeltaError) as second:
        error.add_note(f"and the ledger could not be told: {second}")


def _delete_files_of(place: Place, run: str) -> None:
    for folder in place.entries():
        if folder.base_name.startswith("business_date="):
            for file in (place / folder.base_name).entries():
                if file.base_name.startswith(run):
                    (place / folder.base_name / file.base_name).delete()
