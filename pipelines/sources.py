"""Sources as a user writes them: `spool:DIR` or `kafka:BROKERS/TOPIC`."""

from __future__ import annotations

from isopach.pipelines.kafka import parse as parse_kafka
from isopach.pipelines.logs import Log, LogError
from isopach.pipelines.spool import Spool


def open_log(source: str, feed: str, settings: str | None = None) -> Log:
    """Return the log of a source's address; raises LogError for one that is none.

    Args:
        settings: a file with the client's settings (SASL, TLS), for Kafka.
    """
    kind, colon, place = source.partition(":")
    if colon and place and kind == "spool":
        if settings is not None:
            raise LogError(f"{settings}: a spool has no settings; leave out --source-settings")
        return Spool(place, feed)
    if colon and place and kind == "kafka":
        return parse_kafka(source, settings).pinned()
    raise LogError(f"{source!r}: not a source; write spool:DIR or kafka:BROKERS/TOPIC")
