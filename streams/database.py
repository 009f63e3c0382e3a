"""PostgreSQL: connections with the house's settings, and migrations that only expand."""

from __future__ import annotations

import logging
from contextlib import closing
from importlib.resources import as_file, files
from typing import Any

import psycopg
import yoyo

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

# A peer that vanished is noticed in about 20 s: a lock must not be held by a connection nobody has any more.
_ALIVE: dict[str, Any] = {"connect_timeout": 10, "keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3}
_MIGRATING = 7_104_881_203  # advisory lock: several roles start at once, one of them migrates


async def connect(uri: str, *, autocommit: bool = True, application: str = "tocsin") -> Connection:
    """A direct connection. With autocommit, `async with conn.transaction()` is the way to more than one statement."""
    conn = await psycopg.AsyncConnection.connect(
        uri, autocommit=autocommit, application_name=application, tcp_user_timeout=20_000, **_ALIVE
    )
    try:
        await conn.execute("SET TIME ZONE 'UTC'")
    except BaseException:  # cancelled, too: nobody else knows of the connection yet
        await conn.close()
        raise
    return conn


def migrate(uri: str) -> None:
    """Apply what is missing of streams/migrations. Safe to call from every role at once, and again."""
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    _, _, rest = uri.partition("://")
    with (
        closing(psycopg.connect(uri, autocommit=True, application_name="tocsin migrations", **_ALIVE)) as lock,
        as_file(files("streams").joinpath("migrations")) as folder,
    ):
        lock.execute("SELECT pg_advisory_lock(%s)", [_MIGRATING])
        backend = yoyo.get_backend(f"postgresql+psycopg://{rest}")
        try:
            # yoyo's own lock is a row that a killed process leaves behind; ours ends with its connection.
            backend.apply_migrations(backend.to_apply(yoyo.read_migrations(str(folder))))
        finally:
            backend.connection.close()
