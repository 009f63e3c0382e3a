"""The embedded Kafka and PostgreSQL: they keep their data, explain their troubles, and leave nothing behind."""

import functools
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.sandbox import jars
from streams.sandbox.kafka import LARGEST_MESSAGE, EmbeddedKafka
from streams.sandbox.postgres import EmbeddedPostgres
from streams.sandbox.process import EmbeddedError, is_running

OWNER = """
import sys
from pathlib import Path
from streams.sandbox.kafka import EmbeddedKafka
from streams.sandbox.postgres import EmbeddedPostgres
parts = [{"kafka": EmbeddedKafka, "postgres": EmbeddedPostgres}[name](Path(sys.argv[1])) for name in sys.argv[2:]]
for part in parts:
    part.start()
print(*(part.pid for part in parts), flush=True)
sys.stdin.read()
"""


def eventually(condition: Callable[[], bool], within: float = 30.0) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def run_owner(datadir: Path, *parts: str) -> tuple[subprocess.Popen[str], list[int]]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(datadir), *parts],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, start_new_session=True,
    )  # fmt: skip
    return owner, [int(pid) for pid in owner.stdout.readline().split()]


def end_owner(owner: subprocess.Popen[str], number: signal.Signals) -> None:
    os.killpg(owner.pid, number)
    owner.stdin.close()
    owner.stdout.close()
    owner.wait(30)


async def make_topic(address: str) -> str:
    name = f"embedded-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
    return name


async def write(address: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", max_request_size=2 * LARGEST_MESSAGE)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read(address: str, topic: str) -> bytes:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return (await consumer.getone()).value
    finally:
        await consumer.stop()


async def test_messages_are_still_there_at_the_second_start_and_at_the_same_address(datadir: Path):
    kafka = EmbeddedKafka(datadir)
    address = kafka.start()
    try:
        topic = await make_topic(address)
        await write(address, topic, b"kept")
        first = kafka.pid
        assert kafka.restart() == address
        assert not is_running(first)
        assert await read(address, topic) == b"kept"
    finally:
        last = kafka.pid
        kafka.stop()
    assert not is_running(last)


async def test_a_broker_that_was_killed_comes_back_with_what_it_had_acknowledged(datadir: Path):
    with EmbeddedKafka(datadir) as kafka:
        topic = await make_topic(kafka.address)
        await write(kafka.address, topic, b"acknowledged")
        kafka.kill()
        assert not kafka.alive
        kafka.start()
        assert await read(kafka.address, topic) == b"acknowledged"


async def test_a_message_of_sixteen_mebibytes_fits(kafka: str):
    topic = await make_topic(kafka)
    await write(kafka, topic, os.urandom(LARGEST_MESSAGE))
    assert len(await read(kafka, topic)) == LARGEST_MESSAGE


def test_rows_are_still_there_at_the_second_start(datadir: Path):
    server = EmbeddedPostgres(datadir)
    with psycopg.connect(server.start()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first = server.pid
    server.stop()
    assert not is_running(first)
    with server, psycopg.connect(server.address) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        last = server.pid
    assert not is_running(last)


def test_stopping_postgresql_does_not_wait_for_its_clients(datadir: Path):
    server = EmbeddedPostgres(datadir)
    connection = psycopg.connect(server.start())
    pid = server.pid
    server.stop()
    assert not is_running(pid)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()


def test_more_than_a_hundred_clients_can_connect(database: str):
    connections = [psycopg.connect(database) for _ in range(120)]
    assert all(each.execute("SELECT 1").fetchone() == (1,) for each in connections)
    for each in connections:
        each.close()


def test_a_data_directory_with_a_very_long_path_works(datadir: Path):
    with (
        EmbeddedPostgres(datadir / ("deep" * 20) / ("er" * 20)) as server,
        psycopg.connect(server.address) as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)
        socket_folder = Path(connection.info.host)
    assert not socket_folder.exists()


def test_the_database_of_a_test_is_empty(database: str):
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_port_in_use_is_said_in_one_sentence(datadir: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            EmbeddedError, match=rf"^Port {port} of 127.0.0.1 is in use: stop what listens there, or .*\.$"
        ):
            EmbeddedKafka(datadir, port).start()


def test_a_remembered_port_that_is_taken_now_gives_way_to_a_free_one(datadir: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (datadir / "kafka").mkdir()
        (datadir / "kafka" / "port").write_text(str(port))
        with EmbeddedKafka(datadir) as kafka:
            assert kafka.address != f"127.0.0.1:{port}"


def test_a_second_kafka_on_the_same_data_is_told_who_has_it(broker: EmbeddedKafka):
    with pytest.raises(
        EmbeddedError, match=rf"^Another Tocsin \(process {os.getpid()}\) is using .*: stop it, or .*\.$"
    ):
        EmbeddedKafka(broker.datadir).start()
    assert broker.alive


def test_a_second_postgresql_on_the_same_data_is_told_who_has_it(datadir: Path):
    owner, (pid,) = run_owner(datadir, "postgres")
    try:
        with pytest.raises(
            EmbeddedError, match=rf"^Another Tocsin \(process {owner.pid}\) is using .*: stop it, or .*\.$"
        ):
            EmbeddedPostgres(datadir).start()
        assert is_running(pid)
    finally:
        end_owner(owner, signal.SIGTERM)


def test_without_a_network_the_first_start_says_what_to_do(datadir: Path, tmp_path: Path):
    kafka = EmbeddedKafka(datadir, cache=tmp_path / "empty", repository="http://127.0.0.1:1/maven2")
    with pytest.raises(
        EmbeddedError, match=r"^Apache Kafka cannot be fetched from http://127.0.0.1:1/maven2 .*TOCSIN_KAFKA"
    ):
        kafka.start()


def test_a_kafka_that_dies_while_starting_leaves_its_last_words(datadir: Path):
    storage = datadir / "kafka" / "data"
    storage.mkdir(parents=True)
    (storage / "meta.properties").write_text("version=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nnode.id=7\n")
    kafka = EmbeddedKafka(datadir)
    with pytest.raises(
        EmbeddedError, match=r"^Apache Kafka ended while starting, .*node id.*kafka\.out\)\.$"
    ) as caught:
        kafka.start()
    assert "\n" not in str(caught.value)
    assert not kafka.alive


@pytest.fixture
def repository() -> Iterator[str]:
    """The jars of this machine, served like Maven Central serves them."""
    jars.fetch(jars.default_cache())

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(jars.default_cache() / "maven"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_jars_are_fetched_once_and_a_damaged_one_again(repository: str, tmp_path: Path):
    said: list[str] = []
    cache = tmp_path / "cache"
    paths = jars.fetch(cache, repository, said.append)
    assert len(paths) == len(jars.locked())
    assert said[-1] == f"Fetching Apache Kafka {jars.kafka_version()}: {len(paths)} of {len(paths)} jars, 45 MB"

    paths[0].write_bytes(paths[0].read_bytes()[:1000])
    jars.fetch(cache, repository, said.append)
    assert all(jar.is_sound(cache) for jar in jars.locked())
    assert f"Fetching Apache Kafka {jars.kafka_version()}: 1 jars, once" in said

    before = len(said)
    assert jars.fetch(cache, "http://127.0.0.1:1", said.append) == paths
    assert len(said) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_the_owner_is_told_to_end(datadir: Path, number: signal.Signals):
    owner, pids = run_owner(datadir, "postgres")
    assert all(is_running(pid) for pid in pids)
    end_owner(owner, number)
    assert eventually(lambda: not any(is_running(pid) for pid in pids))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_nothing_is_left_when_even_the_guard_is_killed(datadir: Path):
    with EmbeddedPostgres(datadir) as server:
        guard = int(Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(guard, signal.SIGKILL)
        assert eventually(lambda: not is_running(server.pid))


def test_nothing_is_left_when_the_owner_is_killed_and_the_next_one_takes_over(datadir: Path):
    owner, pids = run_owner(datadir, "kafka", "postgres")
    assert len(pids) == 2
    assert all(is_running(pid) for pid in pids)
    end_owner(owner, signal.SIGKILL)
    # At once: the locks are still held by servers on their way out, and that is waited for.
    with EmbeddedPostgres(datadir), EmbeddedKafka(datadir):
        assert not any(is_running(pid) for pid in pids)
