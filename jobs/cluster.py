"""A standalone Flink cluster on this machine, from the jars that the job server has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from isopach.jobs.engines import Say
from isopach.jobs.flink import START_SECONDS
from isopach.jobs.flink_jars import find_jars, java
from isopach.jobs.processes import Process, kept_on_error, running
from isopach.jobs.silence import lost_streams_silenced

RUNTIME = "org.apache.flink.runtime"
JOB_MANAGER = f"{RUNTIME}.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = f"{RUNTIME}.taskexecutor.TaskManagerRunner"
RPC = r"pekko\.tcp://flink@127\.0\.0\.1:(\d+)"
REST = r"Rest endpoint listening at (?:localhost|127\.0\.0\.1):(\d+)"
REGISTERED = r"(Successful registration at resource manager)"
LOUD = {
    JOB_MANAGER: (
        f"{RUNTIME}.rpc.pekko.PekkoRpcServiceUtils",
        f"{RUNTIME}.dispatcher.DispatcherRestEndpoint",
    ),
    TASK_MANAGER: (f"{RUNTIME}.taskexecutor.TaskExecutor",),
}
"""The loggers that say where a process listens, and that it has been taken in."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster; `master` is what a job server is pointed at."""

    master: str
    job_manager: int
    task_managers: tuple[int, ...]
    logs: Path


@contextmanager
def cluster(
    task_managers: int = 1, *, slots: int = 2, heap: str = "1g", say: Say = print
) -> Iterator[Cluster]:
    """Run a job manager and task managers on free loopback ports; all are stopped at the end.

    Raises EngineError when one cannot be had or started.

    Args:
        slots: how many subtasks a task manager runs at once.
        heap: the most that each process takes.
    """
    jars = find_jars(say)
    with ExitStack() as stack:
        stack.enter_context(lost_streams_silenced())
        state = Path(stack.enter_context(TemporaryDirectory(prefix="isopach-flink-cluster-")))
        logs = stack.enter_context(kept_on_error("flink-cluster"))

        def start(name: str, main: str, settings: Mapping[str, str]) -> Process:
            command = _command(jars, main, heap, state / name, settings)
            return stack.enter_context(running(name, command, logs))

        manager = start("job-manager", JOB_MANAGER, {"jobmanager.rpc.port": "0"})
        rest = manager.wait_for(REST, START_SECONDS)
        settings = _task_manager(manager.wait_for(RPC, START_SECONDS), slots)
        tasks = [
            start(f"task-manager-{number}", TASK_MANAGER, settings)
            for number in range(1, task_managers + 1)
        ]
        for task in tasks:
            task.wait_for(REGISTERED, START_SECONDS)
        pids = tuple(task.pid for task in tasks)
        yield Cluster(f"localhost:{rest}", manager.pid, pids, logs)


def _task_manager(port: str, slots: int) -> dict[str, str]:
    """Return a task manager's settings; Flink's own scripts work the sizes out otherwise."""
    return {
        "jobmanager.rpc.port": port,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": str(slots),
        "taskmanager.cpu.cores": str(slots),
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.framework.off-heap.size": "128m",
        "taskmanager.memory.task.heap.size": "512m",
        "taskmanager.memory.task.off-heap.size": "0",
        "taskmanager.memory.managed.size": "64m",
        "taskmanager.memory.network.min": "128m",
        "taskmanager.memory.network.max": "128m",
        # a night shuffles by sorting; by default each shuffle takes 16 MB
        "taskmanager.network.sort-shuffle.min-buffers": "64",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "192m",
        "taskmanager.memory.jvm-overhead.max": "192m",
    }


def _command(
    jars: Path, main: str, heap: str, state: Path, settings: Mapping[str, str]
) -> list[str]:
    """Return the command of a process of the cluster, and write its settings."""
    state.mkdir()
    everywhere = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.bind-host": "127.0.0.1",
        "rest.address": "localhost",
        "rest.bind-address": "localhost",
        "rest.bind-port": "0",
        "heartbeat.interval": "1000",
        "heartbeat.timeout": "10000",  # a lost task manager holds its slots as long
    }
    lines = [f"{key}: {value}\n" for key, value in {**everywhere, **settings}.items()]
    (state / "flink-conf.yaml").write_text("".join(lines))
    return [*java(jars, main, heap, state, *LOUD[main]), "--configDir", str(state)]
