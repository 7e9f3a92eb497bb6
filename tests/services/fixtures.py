"""Services that tests share, started only where a test asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jars import missing_tools


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A running Kafka broker, for a module: one that nobody asks takes a tenth of a core.

    Skips where there is no Java or Maven to run one.
    """
    pytest.importorskip("confluent_kafka", reason="not installed: isopach[kafka]")
    if reason := missing_tools():
        pytest.skip(f"no Kafka broker: {reason}")
    from broker import Broker

    service = Broker(tmp_path_factory.mktemp("kafka"))
    try:
        yield service.start()
    finally:
        service.stop()


@pytest.fixture
def dataflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[object]:
    """A stand-in of the Dataflow API, beside one of Cloud Storage that has a bucket."""
    pytest.importorskip("google.cloud.dataflow", reason="not installed: isopach[gcp]")
    from dataflow import Service, bucket_served, served

    with bucket_served() as endpoint, served(Service()) as service:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
        account = service.credentials(tmp_path / "account.json")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
        yield service
