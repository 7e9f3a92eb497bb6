"""Settings of Kafka clients: ours, and those of a file that says how to sign in and encrypt."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from isopach.pipelines.kafka_tokens import google_token
from isopach.pipelines.logs import LogError

T = TypeVar("T")

LOGGER = logging.getLogger("isopach.kafka")
KEY = re.compile(r"[a-z][a-z0-9._-]*")
TOKENS = "sasl.oauthbearer.config"
BEARINGS = {"bootstrap.servers", "metadata.broker.list"}
OWN: dict[str, str | int | bool] = {
    "group.id": "isopach",  # librdkafka wants one; positions are never stored under it
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "enable.partition.eof": False,
    "allow.auto.create.topics": False,
    "check.crcs": True,
}
FORBIDDEN = {*OWN, "auto.commit.enable", "group.instance.id", "group.protocol"}
PACE: dict[str, str | int | bool] = {
    "fetch.min.bytes": 1,  # a broker answers as soon as there is a row …
    "fetch.wait.max.ms": 100,  # … and a reader that jumps waits for the answer to its last request
    "fetch.queue.backoff.ms": 5,  # a full queue is soon emptied; by default fetching rests for 1 s
    "queued.min.messages": 100_000,
    "queued.max.messages.kbytes": 32 << 10,
}


def load_settings(path: str | Path) -> dict[str, str]:
    """Return the librdkafka settings of a file of `key=value` lines; `#` and `!` begin comments.

    Values are taken as they stand, without Java's escapes. Raises LogError; it shows no values,
    for they may be secret.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f"{path}: cannot be read as settings for Kafka: {error}") from error
    settings: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and line[0] not in "#!":
            key, value = _setting(line, f"{path}:{number}")
            if key in settings:
                raise LogError(f"{path}:{number}: {key} is set twice; keep one of the lines")
            settings[key] = value
    _check_tokens(settings, path)
    return settings


def _setting(line: str, where: str) -> tuple[str, str]:
    key, separator, value = (part.strip() for part in line.partition("="))
    if not separator or not KEY.fullmatch(key):
        raise LogError(f"{where}: not a setting; write key=value, or # before a comment")
    if value.endswith("\\"):
        raise LogError(f"{where}: the value of {key} ends with \\; write it on one line")
    if key in BEARINGS:
        raise LogError(f"{where}: {key} is given with the source, kafka:BROKERS/TOPIC; remove it")
    if key in FORBIDDEN:
        raise LogError(f"{where}: {key} is not yours to set, for rows could be lost; remove it")
    return key, value


def _check_tokens(settings: dict[str, str], path: str | Path) -> None:
    """Raise LogError if tokens are to sign in, and nothing says where they come from."""
    if not _by_tokens(settings):
        return
    if settings.get(TOKENS) != "google":
        raise LogError(
            f"{path}: OAUTHBEARER signs in with tokens; write {TOKENS}=google for those of the "
            "Google account it runs as, or sasl.oauthbearer.method=oidc and its endpoint"
        )
    try:
        import_module("google.auth")
    except ImportError as error:
        raise LogError(
            f"{path}: {TOKENS}=google needs a package that is not there ({error}): "
            "pip install 'isopach[gcp]'"
        ) from error


def _by_tokens(settings: dict[str, str]) -> bool:
    """Tell whether a client asks us for tokens: librdkafka gets or makes others by itself."""
    mechanism = settings.get("sasl.mechanism", settings.get("sasl.mechanisms", ""))
    by_itself = (
        settings.get("sasl.oauthbearer.method") == "oidc"
        or settings.get("enable.sasl.oauthbearer.unsecure.jwt") == "true"
    )
    return mechanism == "OAUTHBEARER" and not by_itself


def client_settings(brokers: str, path: str | None) -> dict[str, Any]:
    """Return what a client that reads no rows needs."""
    loaded = load_settings(path) if path else {}
    tokens = {"oauth_cb": google_token} if _by_tokens(loaded) else {}
    return {"reconnect.backoff.max.ms": 1_000, **loaded, **tokens, "bootstrap.servers": brokers}


def consumer_settings(client: dict[str, Any]) -> dict[str, Any]:
    """Return what a consumer needs; a file's settings win over those that only set the pace."""
    return {**PACE, **client, **OWN}


def connected(
    make: Callable[..., T], settings: dict[str, Any], path: str | None, told: Callable[[Any], None]
) -> T:
    """Return a client, which connects by itself; raises LogError for settings it refuses."""
    if "oauth_cb" in settings:
        settings["oauth_cb"]("")  # a client that gets no token waits for long and says nothing
    try:
        return make({**settings, "error_cb": told}, logger=LOGGER)
    except confluent_kafka().KafkaException as error:
        where = path or "settings for Kafka"
        raise LogError(
            f"{where}: {error.args[0].str()}; see librdkafka's CONFIGURATION.md for the settings "
            "there are (those of Java clients are others)"
        ) from error


def confluent_kafka(part: str = "") -> Any:
    """Return the client library, or a part of it; raises LogError where it is not installed."""
    try:
        return import_module(f"confluent_kafka{part}")
    except ImportError as error:
        raise LogError(
            f"reading from Kafka needs a package that is not there ({error}): "
            "pip install 'isopach[kafka]'"
        ) from error
