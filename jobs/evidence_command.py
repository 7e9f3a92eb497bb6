"""The commands `isopach evidence` and `isopach verify`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from isopach.jobs.arguments import (
    Day,
    FeedName,
    Json,
    Lake,
    bad_usage,
    day_of,
    declaration_of,
    err,
    out,
    place_of,
)
from isopach.jobs.failures import DONE, FAILED, explained

if TYPE_CHECKING:
    from isopach.feeds.load import Declaration
    from isopach.pipelines.evidence import Signed
    from isopach.pipelines.verify_evidence import Upheld

EXAMPLES = (
    "isopach evidence sales --lake lake --date 2026-03-08\n\n"
    "isopach evidence sales --lake s3://lake --date 2026-03-08 --out audit/sales.json\n\n"
    "isopach evidence sales --lake lake --date 2026-03-08 --json"
)
VERIFY_EXAMPLES = (
    "isopach verify sales --lake lake --date 2026-03-08\n\n"
    "isopach verify sales --lake copy --evidence sales-2026-03-08.evidence.json"
)


def evidence(
    feed: FeedName,
    lake: Lake,
    day: Annotated[str, typer.Option("--date", metavar="YYYY-MM-DD", help="One business date.")],
    to: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="FEED-DATE.evidence.json unless told."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write down what a settled business date rests on, for `isopach verify --evidence`.

    Table versions, files and their SHA-256, windows, sources, hashes of
    manifests, code version, counts and differences, with a hash over all.
    The hash is no signature by a secret key: keep it, or the file, where
    those who can write to the lake cannot. With --json the evidence goes
    to stdout, and into a file only with --out.
    """
    declaration, date = declaration_of(feed), day_of(day)
    assert date is not None
    from isopach.jobs.nightly import feed_tables
    from isopach.pipelines.evidence import signed
    from isopach.pipelines.gather_evidence import gather

    name = declaration.feed.feed
    with explained(err):
        found = gather(place_of(lake), declaration.feed, feed_tables(declaration), date)
        text = json.dumps(document := signed(found), indent=1, ensure_ascii=False)
        target = to or (None if as_json else f"{name}-{date}.evidence.json")
        if target is not None:
            place_of(target).write_bytes(f"{text}\n".encode())
    if as_json:
        print(json.dumps(document))
    else:
        files = sum(len(table.files) for table in found.tables)
        out.print(
            f"{target}: evidence of {name} {date}: {len(found.settled):,} settled windows, "
            f"{files:,} files\nSHA-256 {document['sha256']}",
            markup=False,
            highlight=False,
        )


def verify(
    feed: FeedName,
    lake: Lake,
    day: Day = None,
    evidence: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Check what `isopach evidence` wrote, of this lake or a copy."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove from the tables alone that every row read is there exactly once.

    With --evidence, check a date against evidence of it, and name the first
    thing that no longer holds: the file's own hash, tables, files (size and
    SHA-256), settled windows and their rows, fences, counts, runs,
    differences. A table may have moved on to other files by compaction; the
    rows must be the same, and so must old files while they are there.
    """
    declaration, date = declaration_of(feed), day_of(day)
    if evidence is not None:
        _verify_evidence(declaration, lake, evidence, date, as_json)
    from isopach.jobs import show
    from isopach.jobs.nightly import feed_tables
    from isopach.pipelines.verify import verify as prove

    with explained(err):
        proof = prove(place_of(lake), declaration.feed, feed_tables(declaration), date)
    if as_json:
        print(json.dumps(asdict(proof), default=str))
    else:
        show.proof(out, proof)
    sys.exit(FAILED if proof.findings or not proof.windows else DONE)


def _verify_evidence(
    declaration: Declaration, lake: str, name: str, day: date | None, as_json: bool
) -> None:
    from isopach.jobs import show
    from isopach.pipelines.verify_evidence import changed

    signed = _signed_in(name)
    if signed.whole:
        found = _upheld(declaration, lake, name, day, signed)
    else:
        found = changed(declaration.feed.feed, name, signed)
    if as_json:
        document = {"holds": found.broken is None, **asdict(found)}
        print(json.dumps(document, default=str))
    else:
        show.upheld(out, found)
    sys.exit(DONE if found.broken is None else FAILED)


def _signed_in(name: str) -> Signed:
    """Return what a file says; a file that says nothing is bad usage."""
    from isopach.lake.places import PlaceError
    from isopach.pipelines.evidence import EvidenceError, read_signed

    try:
        return read_signed(place_of(name).read_bytes())
    except (OSError, PlaceError, EvidenceError) as error:
        bad_usage("--evidence", name, f"cannot be used: {error}")


def _upheld(
    declaration: Declaration, lake: str, name: str, day: date | None, signed: Signed
) -> Upheld:
    """Check the evidence in a file that is whole, and of this feed and date."""
    from isopach.jobs.nightly import feed_tables
    from isopach.pipelines.evidence import EvidenceError, evidence_in
    from isopach.pipelines.verify_evidence import verify_evidence

    try:
        given = evidence_in(signed)
    except EvidenceError as error:
        bad_usage("--evidence", name, f"cannot be used: {error}")
    feed = declaration.feed
    if given.feed != feed.feed:
        bad_usage("--evidence", name, f"is evidence of feed {given.feed!r}, not of {feed.feed!r}")
    if day is not None and given.date != day:
        bad_usage("--date", f"{day}", f"is not the date of the evidence, {given.date}")
    with explained(err):
        return verify_evidence(place_of(lake), feed, feed_tables(declaration), given)
