"""What every test may ask for: one real broker, one real database server, empty directories, the data beside us."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import specification

from streams.sandbox import jars
from streams.sandbox.kafka import EmbeddedKafka
from streams.sandbox.postgres import EmbeddedPostgres
from streams.sandbox.serving import Serving

# Clients of the loopback servers would go through a proxy; only the first fetch of Kafka's jars may need it.
PROXIES = {
    name: os.environ.pop(name)
    for name in list(os.environ)
    if name.lower() in {"http_proxy", "https_proxy", "all_proxy"}
}


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedKafka]:
    """The broker of the whole session: never stop it, name your topics uniquely."""
    os.environ.update(PROXIES)
    jars.fetch(jars.default_cache())
    for name in PROXIES:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder, EmbeddedKafka(Path(folder)) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def kafka(broker: EmbeddedKafka) -> str:
    """The bootstrap address."""
    return broker.address


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The server of the whole session, quick because it may forget; most tests want `database`."""
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-") as folder,
        EmbeddedPostgres(Path(folder), durable=False) as server,
    ):
        yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URI of an empty database of this test's own."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.uri("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.uri(name)
    with psycopg.connect(postgres.uri("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def datadir(tmp_path: Path) -> Path:
    """An empty data directory, like .tocsin."""
    folder = tmp_path / ".tocsin"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def tocsin_data() -> Path:
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("TOCSIN_TEST_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"there is no test data in {folder}: set TOCSIN_TEST_DATA to where it is")
    return folder


@pytest.fixture(scope="session")
def witness() -> Iterator[specification.Witness]:
    """Sees every answer of every sandbox Jira of the session."""
    found = specification.Witness()
    if specification.there():
        Serving.everybodys_witness = found
    yield found
    Serving.everybodys_witness = None


@pytest.fixture(autouse=True)
def official(witness: specification.Witness) -> Iterator[None]:
    """No test passes in which a sandbox Jira answered what Jira's specification does not allow."""
    yield
    assert witness.wrong() == []
