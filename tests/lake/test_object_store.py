from __future__ import annotations

import multiprocessing
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import boto3
import polars as pl
import pytest
from tiny import DAY, TABLE, add, commit_many, ids, rows, stored, write

from isopach.lake.commits import CommitRefusedError, version
from isopach.lake.compact import compact
from isopach.lake.delta_log import read_log, tidy_log
from isopach.lake.places import Place, _filesystem
from isopach.lake.replace import replace_rows, upsert
from isopach.lake.vacuum import deletable, delete

SERVER = Path(__file__).parents[1] / "services" / "bucket_server.py"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Start an S3 that lives in memory; return its address."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{address}/moto-api/", timeout=1):
                    break
            except OSError:
                assert process.poll() is None, "the server ended"
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Return an empty lake in a bucket."""
    settings = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    _filesystem.cache_clear()
    bucket = f"lake-{uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    yield Place.of(f"s3://{bucket}/some/lake")
    _filesystem.cache_clear()


def test_place_in_a_bucket(lake: Place) -> None:
    file = lake / "a/b.json"
    assert not file.exists()
    file.write_bytes(b"one")
    file.write_bytes(b"two")
    assert file.read_bytes() == b"two"
    assert [entry.base_name for entry in (lake / "a").entries()] == ["b.json"]
    (lake / "a").delete()
    assert not file.exists()
    with pytest.raises(FileNotFoundError):
        file.read_bytes()
    with pytest.raises(OSError, match="none"):
        (lake / "none").entries()


def test_commits_in_a_bucket(lake: Place) -> None:
    assert version(lake, TABLE) is None
    add(lake, write(lake, "f1", rows("ab")))
    add(lake, write(lake, "f2", rows("c", site="B")))
    assert ids(lake) == ["a", "b", "c"]
    assert {row["business_date"] for row in stored(lake)} == {DAY}


def test_rows_are_replaced_in_a_bucket(lake: Place) -> None:
    add(lake, write(lake, "f1", rows("ab")), write(lake, "f2", rows("c", site="B")))
    out = pl.DataFrame({"id": ["a"], "site": ["A"], "business_date": [DAY]})
    new = write(lake, "f3", rows("d"))
    first = replace_rows(lake, TABLE, out, [new])
    assert replace_rows(lake, TABLE, out, [new]) == first
    assert ids(lake) == ["b", "c", "d"]
    upsert(lake, TABLE, out.with_columns(count=5, id=pl.lit("b")), ["id", "site"])
    assert [row["count"] for row in stored(lake) if row["id"] == "b"] == [5]


def test_missing_file_is_refused_in_a_bucket(lake: Place) -> None:
    file = write(lake, "f1", rows("a"))
    (lake / f"till/records/{file.path}").delete()
    with pytest.raises(CommitRefusedError, match="is not there"):
        add(lake, file)


def test_processes_lose_and_double_nothing_in_a_bucket(lake: Place) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    workers = [
        context.Process(target=commit_many, args=(lake.uri, who, 5, start)) for who in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 3
    assert ids(lake) == sorted(f"{who}-{n}" for who in range(3) for n in range(5))
    assert version(lake, TABLE) == 15


def test_what_nobody_needs_is_deleted_in_a_bucket(lake: Place) -> None:
    for n in range(3):
        add(lake, write(lake, f"f{n}", rows([f"{n}"])))
    compact(lake, TABLE, fewest=2)
    week, later = timedelta(days=7), datetime.now(UTC) + timedelta(days=8)
    assert deletable(lake, TABLE, "till", week, datetime.now(UTC)) == []
    gone = deletable(lake, TABLE, "till", week, later)
    assert sorted(file.path for file in gone) == [
        f"business_date={DAY}/f{n}.parquet" for n in "012"
    ]
    assert delete(lake, TABLE, gone, lambda _: None) == gone
    assert deletable(lake, TABLE, "till", week, later) == []
    before = read_log(lake, TABLE).fences()
    assert tidy_log(lake, TABLE, week)
    assert read_log(lake, TABLE).fences() == before == {"isopach/writer": 4}
    assert ids(lake) == ["0", "1", "2"]
