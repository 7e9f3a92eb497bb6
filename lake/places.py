"""Places: folders on this machine, in S3 or in Google Cloud Storage, by one address."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow.fs as pafs

SCHEMES = ("s3", "gs")


class PlaceError(ValueError):
    """An address that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Place:
    """A folder: an absolute local path, `s3://bucket/…` or `gs://bucket/…`.

    Credentials and endpoints come from the environment, as the clouds' own tools read them.
    """

    uri: str

    @staticmethod
    def of(address: str | Path) -> Place:
        """Return the place of an address as a user writes it."""
        text = str(address)
        scheme, colon, rest = text.partition(":")
        if not colon or "/" in scheme or len(scheme) < 2:
            return _local(text)
        place = urlsplit(text)
        if place.scheme == "file" and rest.startswith("//") and place.netloc in ("", "localhost"):
            return _local(unquote(place.path))
        if place.scheme not in SCHEMES or not place.netloc:
            raise PlaceError(
                f"{text}: not an address; use a folder, s3://bucket/… or gs://bucket/…"
            )
        return Place(f"{place.scheme}:{rest}".rstrip("/"))

    def __truediv__(self, relative: str) -> Place:
        return Place(f"{self.uri}/{relative}")

    @property
    def local(self) -> bool:
        return "://" not in self.uri

    @property
    def filesystem(self) -> pafs.FileSystem:
        return _filesystem(self.uri.split("/", 3)[2] if not self.local else "", self._scheme)

    @property
    def path(self) -> str:
        """The address as the file system wants it."""
        return self.uri if self.local else self.uri.split("://", 1)[1]

    @property
    def _scheme(self) -> str:
        return "" if self.local else urlsplit(self.uri).scheme

    @property
    def storage_options(self) -> dict[str, str]:
        """What delta-rs and Polars need beside the address."""
        if self._scheme != "s3":
            return {}
        options = {"aws_conditional_put": "etag"}
        if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"):
            options["aws_allow_http"] = "true"
        return options

    def read_bytes(self) -> bytes:
        """Return a file's content; raises FileNotFoundError."""
        with self.filesystem.open_input_stream(self.path) as file:
            return file.read()

    def write_bytes(self, content: bytes) -> None:
        """Write a file whole: a reader sees the old content or the new."""
        self.make_parent()
        if not self.local:
            with self.filesystem.open_output_stream(self.path) as file:
                file.write(content)
            return
        partial = Path(f"{self.path}.{os.getpid()}.tmp")
        try:
            with partial.open("wb") as file:
                file.write(content)
                os.fsync(file.fileno())
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)

    def make_parent(self) -> None:
        """Make the folder that holds this; object stores have none."""
        if self.local:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)

    def info(self) -> pafs.FileInfo:
        """Return type, size and time of change."""
        return self.filesystem.get_file_info(self.path)

    def exists(self) -> bool:
        return self.info().type != pafs.FileType.NotFound

    def entries(self) -> list[pafs.FileInfo]:
        """Return what lies directly in this folder, by name; raises OSError if it is not there."""
        found = self.filesystem.get_file_info(pafs.FileSelector(self.path))
        return sorted(found, key=lambda entry: entry.base_name)

    def delete(self) -> None:
        """Delete this file, or this folder with all that is in it, if it is there."""
        kind = self.info().type
        if kind == pafs.FileType.Directory:
            self.filesystem.delete_dir(self.path)
        elif kind == pafs.FileType.File:
            self.filesystem.delete_file(self.path)


def _local(text: str) -> Place:
    path = str(Path(text).expanduser().resolve())
    if not text or "%" in path or "\\" in path:
        raise PlaceError(f"{text!r}: not a folder for tables; its path must have no % and no \\")
    return Place(path)


@lru_cache(maxsize=32)
def _filesystem(bucket: str, scheme: str) -> pafs.FileSystem:
    if not scheme:
        return pafs.LocalFileSystem()
    return pafs.FileSystem.from_uri(f"{scheme}://{bucket}")[0]
