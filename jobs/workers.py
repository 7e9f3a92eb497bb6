"""Where an engine's machines find the Python that runs a pipeline's transforms."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from isopach.jobs.settings import like

QUIET = '--sdk_harness_log_level_overrides={"apache_beam":"ERROR"}'
"""What Beam says of its workers at each start; Java knows no WARNING, and Python no WARN."""
BOOT = Path(sys.executable).parent / "isopach-worker"


class Workers(BaseModel):
    """How an engine gets its workers; each machine must have this Python, Beam and Isopach.

    `process` starts `command` on the machine itself: by default what is installed beside this
    Python, at the same path. `external` asks a pool that runs on each machine
    (`python -m apache_beam.runners.worker.worker_pool_main`), `docker` starts `image`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    start: Literal["process", "external", "docker"] = "process"
    command: Annotated[str, Field(min_length=1)] = str(BOOT)
    address: Annotated[str, like(r"[\w.-]+:\d+", "HOST:PORT")] = "localhost:50000"
    image: Annotated[str, Field(min_length=1)] | None = None
    linger_seconds: Annotated[int, Field(ge=1, le=3600)] = 3
    each: Annotated[int, Field(ge=1, le=256)] | None = None

    def beam(self, cores: int) -> tuple[str, ...]:
        """Return what Beam is told of them.

        Args:
            cores: how many tasks one machine's process of the engine runs at once; two of them
                share a Python, whose work is mostly outside of its lock.
        """
        config = {
            "process": json.dumps({"command": self.command}),
            "external": self.address,
            "docker": self.image or "",
        }[self.start]
        return (
            f"--environment_type={self.start.upper()}",
            *((f"--environment_config={config}",) if config else ()),
            f"--environment_cache_millis={1000 * self.linger_seconds}",
            f"--sdk_worker_parallelism={self.each or max(1, cores // 2)}",
            QUIET,
        )
