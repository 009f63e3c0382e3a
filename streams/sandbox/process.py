"""A server process that cannot outlive its owner, on a data directory that nobody else is using."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 30.0  # seconds to wait for a server whose owner is gone already
PORTS = range(20_000, 32_000)  # below the range the kernel hands out to outgoing connections
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")  # tokens and JAVA_TOOL_OPTIONS stay out


class EmbeddedError(Exception):
    """One clear sentence that says what to do."""


def silent(_: str) -> None:
    """The default for `say`."""


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(*taken: int) -> int:
    for _ in range(1000):
        port = PORTS[secrets.randbelow(len(PORTS))]
        if port not in taken and is_free(port):
            return port
    raise EmbeddedError("No free port was found on 127.0.0.1: stop some servers of this machine.")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")  # where there is one, tell the dead that nobody has buried yet
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"The directory {folder} cannot be made ({error.strerror}): choose another data directory."
        ) from error


class FolderLock:
    """A lock file that its server inherits: it is free exactly when owner, guard and server are all gone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.fd = -1

    def take(self) -> None:
        try:
            fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EmbeddedError(
                f"{self._file} cannot be opened ({error.strerror}): choose a data directory of your own."
            ) from error
        deadline = time.monotonic() + PATIENCE
        while not self._took(fd):
            owner = int(os.pread(fd, 20, 0).strip() or 0)
            # A lock without a living owner belongs to a server that is still on its way out.
            if (owner and is_running(owner)) or time.monotonic() > deadline:
                os.close(fd)
                raise EmbeddedError(
                    f"Another Tocsin (process {owner}) is using {self._file.parent}: "
                    "stop it, or start this one with another data directory."
                )
            time.sleep(0.05)
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self.fd = fd

    @staticmethod
    def _took(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@dataclass(frozen=True)
class Launch:
    name: str
    command: list[str]
    folder: Path
    log: Path  # what the server prints; begun anew with every start
    stop: signal.Signals = signal.SIGTERM
    user: str = ""  # run as this user (only root can)
    grace: float = 20.0  # seconds the server gets to flush and end before it is killed


class Process:
    """One running server under its guard."""

    def __init__(self, launch: Launch, lock: FolderLock) -> None:
        self._launch = launch
        guard = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))]
        with launch.log.open("wb") as log:
            self._guard = subprocess.Popen(  # noqa: S603 - our own guard
                [*guard, str(int(launch.stop)), str(launch.grace), launch.user, str(lock.fd), *launch.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=launch.folder,
                env={name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ},
                pass_fds=(lock.fd,),
                start_new_session=True,  # Ctrl-C in the terminal reaches the owner, who stops us in good order
            )
        assert self._guard.stdout is not None
        self.pid = int(self._guard.stdout.readline().strip() or 0)
        self._guard.stdout.close()

    @property
    def alive(self) -> bool:
        return self._guard.poll() is None

    def wait_until(self, answers: Callable[[], bool], within: float = 60.0) -> None:
        """Asks the server itself; a server that died or stays silent ends in a sentence."""
        deadline = time.monotonic() + within
        while not answers():
            if not self.alive:
                raise EmbeddedError(
                    f"{self._launch.name} ended while starting, its last words were: {self._last_words()} "
                    f"(all of them are in {self._launch.log})."
                )
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{self._launch.name} does not answer after {within:.0f} s: see {self._launch.log}, "
                    "or give it a less busy machine."
                )
            time.sleep(0.02)

    def finish(self) -> None:
        """For a tool that ends by itself."""
        try:
            failed = self._guard.wait(60.0) != 0
        except subprocess.TimeoutExpired:
            failed = True
        if failed:
            self.stop()
            raise EmbeddedError(
                f"{self._launch.name} failed, its last words were: {self._last_words()} "
                f"(all of them are in {self._launch.log})."
            )
        self.stop()

    def _last_words(self) -> str:
        lines = self._launch.log.read_text(errors="replace").splitlines() if self._launch.log.exists() else []
        spoken = [line.strip() for line in lines if line.strip()]
        grave = [line for line in spoken if any(word in line for word in ("ERROR", "FATAL", "Error:"))]
        return (grave or spoken or ["nothing"])[-1][:300]

    def stop(self) -> None:
        """Ends the server in good order and returns when it is gone."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        try:
            self._guard.wait(self._launch.grace + 5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, for tests of crashes."""
        if self.alive and self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(self._launch.grace + 5)
