"""Deliveries: what sites put into the landing zone, and which of it counts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path, PurePosixPath

import pyarrow.fs as pafs
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from isopach.feeds.errors import faults_of
from isopach.feeds.sites import IDENTIFIER
from isopach.lake.places import Place

MANIFEST = "manifest.json"
FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}


class LandingError(OSError):
    """A landing zone that cannot be read."""


class ListedFile(BaseModel):
    """A data file as its manifest lists it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(min_length=1)
    rows: int | None = Field(default=None, ge=0)


class Manifest(BaseModel):
    """What a site says it delivers; `rows` is its own count, null where it does not count."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    site: str
    business_date: date
    delivery: str
    rows: int | None = Field(default=None, ge=0)
    files: tuple[ListedFile, ...]
    delivered_at: AwareDatetime


@dataclass(frozen=True)
class DeliveredFile:
    """A data file of a delivery: its path below the feed's landing folder, and how to read it."""

    path: str
    format: str
    compression: str | None
    size: int
    changed: int  # nanoseconds since 1970
    rows: int | None  # as the manifest says


@dataclass(frozen=True)
class Delivery:
    """A site's newest delivery for a business date; `problem` says why it cannot be used.

    `manifest` is the SHA-256 of the manifest as it was read.
    """

    site: str
    name: str
    declared: int | None = None
    files: tuple[DeliveredFile, ...] = ()
    problem: str | None = None
    delivered_at: datetime | None = None
    manifest: str | None = None


class InvalidDeliveryError(ValueError):
    """A delivery whose manifest or files are not as they must be."""


def find_deliveries(
    landing: Place, feed: str, day: date, only: frozenset[str] | None
) -> list[Delivery]:
    """Return each site's newest delivery for a business date; raises LandingError."""
    folder = landing / f"{feed}/{day.isoformat()}"
    if landing.info().type != pafs.FileType.Directory and landing.local:
        raise LandingError(f"{landing.uri}: not a folder; --landing takes the landing zone's root")
    try:
        sites = [
            entry.base_name for entry in folder.entries() if entry.type == pafs.FileType.Directory
        ]
    except FileNotFoundError as error:
        raise LandingError(
            f"{folder.uri}: not there, so no site delivered anything; is the date right? "
            "Deliveries lie in LANDING/FEED/DATE/SITE/DELIVERY/"
        ) from error
    except OSError as error:
        raise LandingError(f"{folder.uri}: cannot be read: {error}") from error
    chosen = [site for site in sites if only is None or site in only]
    return [found for site in chosen if (found := newest(folder / site, feed, day, landing))]


def newest(folder: Place, feed: str, day: date, landing: Place) -> Delivery | None:
    """Return the newest delivery in a site's folder; None if no manifest is there yet.

    Hidden folders are none: under such a name a site may write what it then renames.
    """
    site = folder.path.rsplit("/", 1)[-1]
    if not re.fullmatch(IDENTIFIER, site):
        return Delivery(site, "", problem=f"folder name {site!r} is not a site id")
    candidates: list[tuple[Manifest, str, Place]] = []
    try:
        for entry in folder.entries():
            place = folder / entry.base_name
            if entry.type != pafs.FileType.Directory or entry.base_name.startswith("."):
                continue
            if (place / MANIFEST).exists():
                content = (place / MANIFEST).read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                candidates.append((read_manifest(content, place, site, day), digest, place))
        if not candidates:
            return None
        manifest, digest, place = max(candidates, key=lambda c: (c[0].delivered_at, c[0].delivery))
        prefix = f"{day.isoformat()}/{site}/{manifest.delivery}"
        files = tuple(_files(manifest, place, prefix, landing))
    except (InvalidDeliveryError, OSError) as error:
        return Delivery(site, "", problem=str(error))
    at = manifest.delivered_at
    return Delivery(site, manifest.delivery, manifest.rows, files, None, at, digest)


def read_manifest(content: bytes, place: Place, site: str, day: date) -> Manifest:
    """Return a delivery's manifest, checked against where it lies."""
    where = f"{PurePosixPath(place.path).name}/{MANIFEST}"
    try:
        manifest = Manifest.model_validate(json.loads(content))
    except ValidationError as error:
        raise InvalidDeliveryError(
            "; ".join(map(str, faults_of(error, where, lambda _: None)))
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidDeliveryError(f"{where}: not JSON: {error}") from error
    expected = {"site": site, "business_date": day, "delivery": PurePosixPath(place.path).name}
    for field, value in expected.items():
        if getattr(manifest, field) != value:
            said = getattr(manifest, field)
            raise InvalidDeliveryError(f"{where}: {field}: says {said}, but lies under {value}")
    return manifest


def _files(
    manifest: Manifest, place: Place, prefix: str, landing: Place
) -> Iterator[DeliveredFile]:
    seen: set[str] = set()
    for number, file in enumerate(manifest.files):
        where = f"{manifest.delivery}/{MANIFEST}: files.{number}.name: {file.name!r}"
        if not re.fullmatch(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*", file.name):
            raise InvalidDeliveryError(f"{where} must name a file in the delivery's own folder")
        if file.name == MANIFEST:
            raise InvalidDeliveryError(f"{where} is the manifest itself, not a data file")
        if file.name in seen:
            raise InvalidDeliveryError(f"{where} is listed twice")
        seen.add(file.name)
        if place.local and not Path(place.path, file.name).resolve().is_relative_to(landing.path):
            raise InvalidDeliveryError(f"{where} leads out of the landing zone {landing.uri}")
        kind, compression = file_format(file.name, where)
        info = (place / file.name).info()
        if info.type != pafs.FileType.File:
            raise InvalidDeliveryError(f"{where} is not there")
        yield DeliveredFile(
            f"{prefix}/{file.name}", kind, compression, info.size, info.mtime_ns, file.rows
        )


def file_format(name: str, where: str) -> tuple[str, str | None]:
    """Return a data file's format and compression by its name."""
    suffixes = PurePosixPath(name).suffixes
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    kind = FORMATS.get("".join(suffixes[:-1][-1:]) if compression else "".join(suffixes[-1:]))
    if kind is None or (compression and kind == "parquet"):
        known = ", ".join([*FORMATS, "with .gz or .zst on text"])
        raise InvalidDeliveryError(f"{where} has no format known here ({known})")
    return kind, compression
