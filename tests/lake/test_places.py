from __future__ import annotations

import threading
from pathlib import Path

import pytest

from isopach.lake.places import Place, PlaceError


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("/data/lake", "/data/lake"),
        ("/data/lake/", "/data/lake"),
        ("/data/./x/../lake", "/data/lake"),
        ("/data/my lake", "/data/my lake"),
        ("file:///data/lake", "/data/lake"),
        ("file:///data/my%20lake", "/data/my lake"),
        ("file://localhost/data/lake", "/data/lake"),
        (Path("/data/lake"), "/data/lake"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/some/lake/", "s3://bucket/some/lake"),
        ("S3://Bucket/Lake", "s3://Bucket/Lake"),
        ("gs://bucket/lake", "gs://bucket/lake"),
    ],
)
def test_address(address: str | Path, uri: str) -> None:
    assert Place.of(address).uri == uri


def test_relative_and_home_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Place.of("lake").uri == f"{tmp_path}/lake"
    assert Place.of("./a:b").uri == f"{tmp_path}/a:b"
    assert Place.of("~/lake").uri == f"{tmp_path}/home/lake"


@pytest.mark.parametrize(
    "address",
    [
        "http://bucket/lake",
        "hdfs://node/lake",
        "s3a://bucket/lake",
        "abfss://box@account/lake",
        "s3://",
        "gs:///lake",
        "s3:/bucket/lake",
        "s3:bucket",
        "file:/data/lake",
        "file://host/data/lake",
    ],
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(PlaceError) as caught:
        Place.of(address)
    expected = f"{address}: not an address; use a folder, s3://bucket/… or gs://bucket/…"
    assert str(caught.value) == expected


@pytest.mark.parametrize("address", ["", "/data/50%25", "/data/back\\slash", "file:///data/%2525"])
def test_folders_that_readers_of_tables_cannot_open_are_refused(address: str) -> None:
    with pytest.raises(PlaceError, match="not a folder for tables"):
        Place.of(address)


def test_paths_below() -> None:
    assert (Place.of("/data/lake") / "till/records").uri == "/data/lake/till/records"
    assert (Place.of("s3://bucket") / "till").path == "bucket/till"
    assert Place.of("/data/lake").local
    assert not Place.of("s3://bucket").local


def test_options_are_for_s3_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert Place.of("/data").storage_options == {}
    assert Place.of("gs://bucket").storage_options == {}
    assert Place.of("s3://bucket").storage_options == {"aws_conditional_put": "etag"}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://objects.example.com")
    assert "aws_allow_http" not in Place.of("s3://bucket").storage_options
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert Place.of("s3://bucket").storage_options["aws_allow_http"] == "true"


def test_bytes_are_written_whole_and_replaced(tmp_path: Path) -> None:
    file = Place.of(tmp_path) / "deep/folder/file.json"
    assert not file.exists()
    with pytest.raises(FileNotFoundError):
        file.read_bytes()
    file.write_bytes(b"first")
    file.write_bytes(b"second")
    assert file.read_bytes() == b"second"
    assert [e.base_name for e in (Place.of(tmp_path) / "deep/folder").entries()] == ["file.json"]


def test_reader_sees_the_old_content_or_the_new(tmp_path: Path) -> None:
    file = Place.of(tmp_path) / "file"
    contents = {bytes([n]) * 300_000 for n in range(4)}
    file.write_bytes(next(iter(contents)))
    seen: list[bool] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(file.read_bytes() in contents)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        for content in contents:
            file.write_bytes(content)
    done.set()
    reader.join()
    assert len(seen) > 10
    assert all(seen)


def test_interrupted_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Place.of(tmp_path) / "file"
    file.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        file.write_bytes(b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_entries_are_sorted_and_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name).touch()
    assert [entry.base_name for entry in Place.of(tmp_path).entries()] == ["a", "b", "c"]
    with pytest.raises(FileNotFoundError):
        (Place.of(tmp_path) / "none").entries()


def test_delete_takes_files_folders_and_nothing(tmp_path: Path) -> None:
    place = Place.of(tmp_path)
    (place / "folder/deep/file").write_bytes(b"x")
    (place / "file").write_bytes(b"x")
    for name in ("folder", "file", "none"):
        (place / name).delete()
    assert [*tmp_path.iterdir()] == []
