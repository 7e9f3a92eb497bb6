"""Why a job failed is found in all that Spark and Flink say."""

from __future__ import annotations

import pytest

from isopach.jobs.causes import cause_of

TRACE = "\tat org.apache.spark.deploy.SparkSubmit.main(SparkSubmit.scala)\n"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("", "it said nothing"),
        ("starting\nout of luck\n", "out of luck"),
        (f"java.io.IOException: no buffers\n{TRACE}", "java.io.IOException: no buffers"),
        (
            'Exception in thread "main" a.B: x\nCaused by: a.Wrapped: java.io.IOException: Cannot '
            f"run /w: error=2\n{TRACE}Caused by: java.io.IOException: error=2\n{TRACE}",
            "java.io.IOException: Cannot run /w: error=2",
        ),
        (
            "Caused by: java.lang.RuntimeException: Traceback\nOSError: disk [while running 'Read']"
            f"\n{TRACE}Caused by: java.lang.RuntimeException: other\n",
            "OSError: disk [while running 'Read']",
        ),
        (
            "INFO Endpoint: Executor updated: app-1/0 is now FAILED (no such folder)\n"
            "Caused by: java.lang.IllegalStateException: call on a stopped SparkContext.\n",
            "FAILED (no such folder)",
        ),
        ("Caused by: java.lang.OutOfMemoryError: heap\n", "java.lang.OutOfMemoryError: heap"),
    ],
)
def test_the_cause_is_told(said: str, cause: str) -> None:
    assert cause_of(said) == cause
