"""Silence for what workers say when the engine they served has gone, and what is said twice."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from time import monotonic, sleep

import grpc

WORKER_THREADS = ("run_worker", "read_state", "read_grpc_client_inputs", "wait_until_finish_read")
LOGGERS = ("apache_beam.runners.worker.data_plane", "apache_beam.runners.worker.sdk_worker")
CLOSED = "Channel closed prematurely"
END_SECONDS = 5.0
NOTICE_SECONDS = 1.2
"""How long a bundle takes to notice that its engine has gone."""


@contextmanager
def lost_streams_silenced() -> Iterator[None]:
    """Keep tracebacks of streams that break as an engine stops from stderr.

    Nothing is hidden: a job that loses its engine fails in the thread that waits for it.
    """
    hook = threading.excepthook

    def say(lost: threading.ExceptHookArgs) -> None:
        if not (_is_worker(lost.thread) and isinstance(lost.exc_value, grpc.RpcError)):
            hook(lost)

    loggers = [logging.getLogger(name) for name in LOGGERS]
    threading.excepthook = say
    for logger in loggers:
        logger.addFilter(_is_not_of_a_lost_stream)
    try:
        yield
    finally:
        threading.excepthook = hook
        for logger in loggers:
            logger.removeFilter(_is_not_of_a_lost_stream)


@contextmanager
def told_once() -> Iterator[None]:
    """Keep from the log what Beam says of a job that failed: it raises the same."""

    def is_news(record: logging.LogRecord) -> bool:
        return record.module != "portable_runner" or record.levelno < logging.ERROR

    root = logging.getLogger()
    root.addFilter(is_news)
    try:
        yield
    finally:
        root.removeFilter(is_news)


@contextmanager
def workers_ended() -> Iterator[None]:
    """Wait for workers to end after their engine: Flink keeps them past the end of their job.

    Beam prints what they raise on stderr, past all logging; that goes unsaid here.
    """
    workers = list(filter(_is_worker, threading.enumerate()))
    with redirect_stderr(io.StringIO()):
        yield
        until = monotonic() + END_SECONDS
        for worker in workers:
            worker.join(max(0.0, until - monotonic()))
        if workers:
            sleep(NOTICE_SECONDS)


def _is_not_of_a_lost_stream(record: logging.LogRecord) -> bool:
    lost = record.exc_info and isinstance(record.exc_info[1], grpc.RpcError)
    return not lost and CLOSED not in record.getMessage()


def _is_worker(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.name.startswith(WORKER_THREADS)
