"""Everything on one machine: embedded parts, roles as processes that are started again when they die."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from .. import roles
from ..settings import Settings

READY_S = 60.0
RESTART_S_MAX = 10.0


class StageError(Exception):
    """Something could not be started; the message is one sentence that says what to do."""


def port_is_free(settings: Settings) -> None:
    """Somebody else's pages would answer for ours, or nobody's. Raises StageError."""
    host, port = settings.web_host, settings.web_port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror:
            raise StageError(f"TOCSIN_WEB_HOST: {host} is not an address of this machine") from None
        except OSError:
            raise StageError(f"Port {port} on {host} is in use; set TOCSIN_WEB_PORT to a free one") from None


class Stage:
    """A context manager: inside it, everything runs. Ends every process it started, by id."""

    def __init__(
        self,
        settings: Settings,
        *,
        token: str,
        sandbox: bool = False,
        say: Callable[[str], None],
        overrides: dict[str, str] | None = None,
    ) -> None:
        self.settings, self.token, self.sandbox, self.say = settings, token, sandbox, say
        self.overrides = overrides or {}
        self.kafka, self.database, self.pages = settings.kafka, settings.database, settings.pages
        self.sandbox_urls: dict[str, str] = {}
        self.jira: Any = None
        self.slack: Any = None
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = ExitStack()
        self._died: dict[str, tuple[int, float]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        try:
            port_is_free(self.settings)
            self._parts()
            if self.sandbox:
                self._sandbox()
            self._prepare()
            for role in roles.ROLES:
                self._start(role)
            self._stack.callback(self._stop_roles)
            self._wait_for_pages()
        except BaseException:
            self._stop_roles()
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def watch(self, ended: Callable[[], bool], every_s: float = 0.5) -> None:
        """Start roles again when they die, until `ended` says so."""
        while not ended():
            self.mend()
            time.sleep(every_s)

    def mend(self) -> None:
        for role, process in list(self.processes.items()):
            if process.poll() is None:
                continue
            times, again = self._died.get(role, (0, 0.0))
            if again == 0.0:
                delay = min(0.5 * 2**times, RESTART_S_MAX)
                self._died[role] = (times + 1, time.monotonic() + delay)
                self.say(
                    f"{role} ended with {process.returncode}, starting again in {delay:.0f} s; see {self._log(role)}"
                )
            elif time.monotonic() >= again:
                self._died[role] = (times, 0.0)
                self._start(role)

    def submit(self, work: Any) -> Any:
        """Run a coroutine on the sandbox servers' loop and wait for it."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _parts(self) -> None:
        from ..sandbox.kafka import EmbeddedKafka  # noqa: PLC0415 - only with the extra `embedded`
        from ..sandbox.postgres import EmbeddedPostgres  # noqa: PLC0415
        from ..sandbox.process import EmbeddedError  # noqa: PLC0415

        datadir = self.settings.datadir
        datadir.mkdir(parents=True, exist_ok=True)
        try:
            if not self.kafka:
                kafka = EmbeddedKafka(datadir, say=self.say)
                self._stack.callback(kafka.stop)
                self.kafka = kafka.start()
            if not self.database:
                postgres = EmbeddedPostgres(datadir, say=self.say)
                self._stack.callback(postgres.stop)
                self.database = postgres.start()
        except EmbeddedError as error:
            raise StageError(str(error)) from None

    def _sandbox(self) -> None:
        from ..sandbox.jira import SandboxJira  # noqa: PLC0415
        from ..sandbox.slack import SandboxSlack  # noqa: PLC0415

        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        self._stack.callback(self._loop.call_soon_threadsafe, self._loop.stop)
        ports = [self._kept_port(name) for name in ("jira", "slack")]  # so that links of yesterday still lead somewhere
        self.jira = SandboxJira(path=self.settings.datadir / "sandbox-jira.json", port=ports[0])
        self.slack = SandboxSlack(path=self.settings.datadir / "sandbox-slack.json", port=ports[1])
        self.sandbox_urls = {"Jira": self.submit(self.jira.start()), "Slack": self.submit(self.slack.start())}
        self._stack.callback(lambda: self.submit(self.jira.stop()))
        self._stack.callback(lambda: self.submit(self.slack.stop()))

    def _kept_port(self, name: str) -> int:
        """The port that this sandbox server had before, if it is free, else a free one."""
        path = self.settings.datadir / f"sandbox-{name}.port"
        wanted = int(path.read_text(encoding="utf-8")) if path.exists() else 0
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        path.write_text(str(port), encoding="utf-8")
        return port

    def environment(self) -> dict[str, str]:
        """What the roles are told."""
        given = {
            "TOCSIN_KAFKA": self.kafka,
            "TOCSIN_DATABASE": self.database,
            "TOCSIN_DATADIR": str(self.settings.datadir),
            "TOCSIN_TOKEN": self.token,
            "TOCSIN_WEB_HOST": self.settings.web_host,
            "TOCSIN_WEB_PORT": str(self.settings.web_port),
            "TOCSIN_METRICS_PORT": "0",  # one port cannot serve all roles
            **self.overrides,
        }
        if self.sandbox:
            given |= {
                "TOCSIN_JIRA_URL": self.sandbox_urls["Jira"],
                "TOCSIN_JIRA_USER": "tocsin@example.com",
                "TOCSIN_JIRA_TOKEN": "sandbox",
                "TOCSIN_SLACK_URL": self.sandbox_urls["Slack"] + "/api/",
                "TOCSIN_SLACK_TOKEN": "xoxb-sandbox",
                "TOCSIN_SLACK_APP_TOKEN": "xapp-sandbox",
            }
        return {**os.environ, **given}

    def _prepare(self) -> None:
        from ..database import migrate  # noqa: PLC0415
        from ..topics import ensure  # noqa: PLC0415

        asyncio.run(ensure(self.kafka, self.settings.generation, self.settings.replication))
        migrate(self.database)

    def _log(self, role: str) -> Path:
        return self.settings.datadir / "logs" / f"{role}.log"

    def _start(self, role: str) -> None:
        self._log(role).parent.mkdir(parents=True, exist_ok=True)
        with self._log(role).open("ab") as log:
            self.processes[role] = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "streams", "run", role, "--parent", str(os.getpid())],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _stop_roles(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + 10
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _wait_for_pages(self) -> None:
        import urllib.error  # noqa: PLC0415
        import urllib.request  # noqa: PLC0415

        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            self.mend()
            try:
                with urllib.request.urlopen(f"{self.pages}/v1/health", timeout=2):  # noqa: S310 - loopback or the operator's own
                    return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.2)
        raise StageError(f"The pages did not answer within {READY_S:.0f} s; see {self._log('web')}")
