"""A real Kafka broker on this machine, for tests: one Java process, its data in a folder."""

from __future__ import annotations

import atexit
import base64
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from jars import ServiceError, copied_jars

INFRA = Path(__file__).parents[2] / "infra" / "kafka"
START_SECONDS = 90
STOP_SECONDS = 30
PORTS = range(15_000, 30_000)  # below those that clients are given, so that none takes ours
JAVA = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

FORMATTED: list[Path] = []
"""The data folder that brokers of this process begin with."""


class Broker:
    """A broker with one node; `start` and `stop` it, or `kill` it and start it anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._controller_port = free_ports()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address}, logger=_Silent())

    def start(self) -> Broker:
        """Start on the data there is, on the same port as before, and wait until it answers."""
        self._format()
        with (self.folder / "broker.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*_tied(), *self._java("kafka.Kafka"), str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it in order, or kill it if it does not end."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def create_topic(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic and wait until its partitions can be written."""
        topic = NewTopic(name, partitions, 1, config=dict(config or {}))
        self.admin.create_topics([topic])[name].result(30)
        self.settle(name, partitions)

    def settle(self, name: str, partitions: int) -> None:
        """Wait until a topic has so many partitions with a leader; none if it is to be gone."""
        until = time.monotonic() + 30
        while _led(self.admin, name) != partitions:
            if time.monotonic() > until:
                raise ServiceError(f"topic {name}: not {partitions} partitions within 30 s")
            time.sleep(0.05)

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _format(self) -> None:
        """Write the settings and make the data folder; leave the data that is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        template = (INFRA / "server.properties").read_text()
        self._properties.write_text(template + self._own_settings())
        data = self.folder / "data"
        if not data.exists():
            shutil.copytree(self._formatted(), data)

    def _formatted(self) -> Path:
        """Return an empty data folder, made once: it takes as long as a broker takes to start."""
        if not FORMATTED:
            kept = mkdtemp(prefix="isopach-kafka-")
            atexit.register(shutil.rmtree, kept, ignore_errors=True)
            made = Path(kept) / "data"
            settings = Path(kept) / "server.properties"
            settings.write_text(self._properties.read_text() + f"log.dirs={made}\n")
            tool = self._java("kafka.tools.StorageTool")
            _output([*tool, "format", "-t", _identity(), "-c", str(settings)])
            FORMATTED.append(made)
        return FORMATTED[0]

    def _listeners(self) -> dict[str, str]:
        """Return where clients are listened to, by the listener's name."""
        return {"PLAINTEXT": self.address}

    def _own_settings(self) -> str:
        clients = ",".join(f"{name}://{address}" for name, address in self._listeners().items())
        controller = f"127.0.0.1:{self._controller_port}"
        return (
            f"listeners={clients},CONTROLLER://{controller}\n"
            f"advertised.listeners={clients}\n"
            f"controller.quorum.voters=1@{controller}\n"
            f"log.dirs={self.folder / 'data'}\n"
        )

    def _java(self, main: str) -> list[str]:
        log = f"-Dlog4j.configuration={(INFRA / 'log4j.properties').as_uri()}"
        return ["java", *JAVA, log, "-cp", self._classes(), main]

    def _classes(self) -> str:
        return f"{copied_jars(INFRA / 'pom.xml')}/*"

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > until:
                said = (self.folder / "broker.log").read_text(errors="replace")[-2000:]
                raise ServiceError(f"the broker did not start within {START_SECONDS} s:\n{said}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)):
                return False
        try:
            return bool(self.admin.list_topics(timeout=5).brokers)
        except KafkaException:
            return False


class _Silent:
    """Says nothing of what librdkafka tells while a broker starts or ends."""

    def log(self, level: int, message: str, *values: object) -> None: ...


def free_ports() -> tuple[int, int]:
    """Return two ports on loopback that nothing listens on."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == 2:
            return found[0], found[1]
    raise ServiceError(f"no two free ports from {PORTS.start} to {PORTS.stop - 1}")


def _identity() -> str:
    """Return a name for a cluster as Kafka writes one: a UUID in URL-safe base 64, with no dash."""
    first, *others = uuid4().bytes
    return base64.urlsafe_b64encode(bytes([first & 0x7F, *others])).decode().rstrip("=")


def _tied() -> list[str]:
    """Return what makes a process end with the one that started it, where there is such a tool."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ServiceError(f"{' '.join(command[-4:])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _led(admin: AdminClient, name: str) -> int:
    """Return how many partitions of a topic have a leader; none if there is no such topic."""
    topic = admin.list_topics(timeout=30).topics.get(name)
    return sum(one.leader >= 0 for one in topic.partitions.values()) if topic else 0
