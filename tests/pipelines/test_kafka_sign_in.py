"""Signing in to brokers over TLS: as a user, and as a Google account, as on managed Kafka."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jars import missing_tools

from isopach.pipelines import kafka_tokens
from isopach.pipelines.kafka import KafkaLog
from isopach.pipelines.kafka_settings import load_settings
from isopach.pipelines.logs import LogError

pytest.importorskip("confluent_kafka", reason="not installed: isopach[kafka]")
pytest.importorskip("google.auth", reason="not installed: isopach[gcp]")

from dataflow import Service, served
from secured_broker import PASSWORD, SecuredBroker

LINES = ["a", "b", "c"]
SCRAM = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "feeds"}
GOOGLE = load_settings(Path(__file__).parents[2] / "infra" / "dataflow" / "kafka.properties")
"""As in the image of Dataflow's workers."""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    if reason := missing_tools():
        pytest.skip(f"no Kafka broker: {reason}")
    from confluent_kafka import Producer

    service = SecuredBroker(tmp_path_factory.mktemp("secured"), known="t")
    try:
        service.start()
        service.create_topic("sales")
        service.add_user("feeds")
        producer = Producer({"bootstrap.servers": service.address})
        for line in LINES:
            producer.produce("sales", line)
        assert producer.flush(30) == 0
        yield service
    finally:
        service.stop()


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Credentials of an account, whose tokens a stand-in of Google's service gives."""
    with served(Service()) as service:
        file = service.credentials(tmp_path / "account.json")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        kafka_tokens._credentials.cache_clear()
        yield service
    kafka_tokens._credentials.cache_clear()


def rows(log: KafkaLog) -> list[str]:
    """Return the rows of the one partition, read as a stream reads them."""
    try:
        (source,) = log.sources()
        first, end = log.bounds(source)
        assert (first, end) == (0, len(LINES))
        found: list[str] = []
        for _ in range(200):
            if poll := log.read(source, len(found), 100):
                found += poll.lines.to_list()
            if len(found) >= end:
                return found
        raise AssertionError(f"{len(found)} of {end} rows")
    finally:
        log.close()


def test_a_user_reads(secured: SecuredBroker, tmp_path: Path) -> None:
    settings = secured.settings(tmp_path / "kafka.properties", SCRAM | {"sasl.password": PASSWORD})
    assert rows(KafkaLog(secured.secured, "sales", str(settings))) == LINES


def test_a_google_account_reads(secured: SecuredBroker, account: Service, tmp_path: Path) -> None:
    settings = secured.settings(tmp_path / "kafka.properties", GOOGLE)
    assert rows(KafkaLog(secured.secured, "sales", str(settings))) == LINES


def test_a_wrong_password_is_told(secured: SecuredBroker, tmp_path: Path) -> None:
    settings = secured.settings(tmp_path / "kafka.properties", SCRAM | {"sasl.password": "hunter2"})
    with pytest.raises(LogError, match=r"check the user and secret") as caught:
        KafkaLog(secured.secured, "sales", str(settings)).sources()
    assert "hunter2" not in str(caught.value)


def test_a_certificate_that_is_not_trusted_is_told(secured: SecuredBroker, tmp_path: Path) -> None:
    settings = secured.settings(tmp_path / "kafka.properties", SCRAM | {"sasl.password": PASSWORD})
    text = re.sub(r"ssl\.ca\.location=.*\n", "", settings.read_text())
    settings.write_text(text)
    with pytest.raises(LogError, match=r"certificate"):
        KafkaLog(secured.secured, "sales", str(settings)).sources()


def test_an_account_without_credentials_is_told(
    secured: SecuredBroker, account: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    settings = secured.settings(tmp_path / "kafka.properties", GOOGLE)
    with pytest.raises(LogError, match=r"no token of Google .*none\.json was not found"):
        KafkaLog(secured.secured, "sales", str(settings)).sources()


def test_tokens_that_come_from_nowhere_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("sasl.mechanism=OAUTHBEARER\n")
    with pytest.raises(LogError, match=r"kafka\.properties: .*sasl\.oauthbearer\.config=google"):
        load_settings(file)


def test_tokens_of_an_endpoint_are_left_to_the_client(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("sasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.method=oidc\n")
    assert load_settings(file)["sasl.oauthbearer.method"] == "oidc"
