"""Roles as processes that are cheap to start: forked from a server that has imported everything already."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry

from benchmarks.killing.arming import Armed
from benchmarks.killing.naive import WAYS, Naive, Way
from streams import policy
from streams.detect.engine.limits import Limits
from streams.detect.engine.metrics import Metrics
from streams.detect.worker import engine
from streams.intake.worker import run as run_intake
from streams.learn.worker import run as run_learn
from streams.respond.worker import run as run_respond
from streams.roles import PR_SET_PDEATHSIG
from streams.settings import load

CONTEXT = multiprocessing.get_context("forkserver")
PATIENCE_S = 20.0
SESSION_S = 6.0  # a dead member's partitions are given away after that long


def prepare() -> None:
    CONTEXT.set_forkserver_preload(["benchmarks.killing.lives", "benchmarks.killing.rows", "benchmarks.killing.beside"])


def end_with_parent() -> None:
    """At once: a role that is asked to end would wait for servers that are gone as well."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(role: str, environ: Mapping[str, str], armed: Path, log: Path) -> BaseProcess:
    process = CONTEXT.Process(target=life, args=(role, dict(environ), armed, log), name=role)
    process.start()
    return process


def end(process: BaseProcess, number: int = signal.SIGKILL) -> None:
    """By its id, and waited for."""
    if process.is_alive() and process.pid:
        os.kill(process.pid, number)
    process.join(PATIENCE_S)
    if process.is_alive():
        process.kill()
        process.join()


def life(role: str, environ: dict[str, str], armed: Path, log: Path) -> None:
    """The child: one role until SIGTERM, or until it reaches a step that kills."""
    end_with_parent()
    os.environ.update(environ)
    with log.open("ab") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format=f"%(asctime)s {os.getpid()} {role} %(message)s")
    logging.getLogger("streams").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    for name in ("py.warnings", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_ROLES[role](Armed(armed).reached))


async def _respond(reached: Callable[[str], None]) -> None:
    reached("starting")
    settings = load()
    await run_respond(settings, policy.load(settings.policy), CollectorRegistry(), _nothing, _stop(), reached=reached)


async def _detect(_: Callable[[str], None]) -> None:
    settings = load()
    limits = Limits(session_s=SESSION_S, heartbeat_s=SESSION_S / 5, commit_s=0.3)
    made = engine(settings, policy.load(settings.policy), limits, Metrics(CollectorRegistry()), _nothing)
    await made.run(_stop())


async def _intake(_: Callable[[str], None]) -> None:
    settings = load()
    await run_intake(settings, policy.load(settings.policy), CollectorRegistry(), _nothing, _stop())


async def _learn(_: Callable[[str], None]) -> None:
    settings = load()
    await run_learn(settings, policy.load(settings.policy), CollectorRegistry(), _nothing, _stop())


def _naive(way: Way) -> Callable[[Callable[[str], None]], Coroutine[Any, Any, None]]:
    async def role(reached: Callable[[str], None]) -> None:
        await Naive(way, load(), reached).run(_stop())

    return role


_ROLES = {"respond": _respond, "detect": _detect, "intake": _intake, "learn": _learn}
_ROLES |= {way: _naive(way) for way in WAYS}


def _stop() -> asyncio.Event:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return stop


def _nothing() -> None:
    pass


class Crew:
    """Copies of one role that compete for its work; who dies is replaced."""

    def __init__(self, role: str, size: int, environ: Mapping[str, str], armed: Path, log: Path) -> None:
        self.role, self.size = role, size
        self.environ, self._armed_at, self._log = dict(environ), armed, log
        self.armed = Armed(armed)
        self.lives: list[BaseProcess] = []
        self.ended: list[int] = []  # exit codes of those that nobody had killed

    def mend(self) -> int:
        """How many were missing. Called again and again: it is also what notices the dead."""
        for one in [one for one in self.lives if not one.is_alive()]:
            self.lives.remove(one)
            if one.exitcode != -signal.SIGKILL:
                self.ended.append(one.exitcode or 0)
        missing = self.size - len(self.lives)
        for _ in range(missing):
            self.lives.append(spawn(self.role, self.environ, self._armed_at, self._log))
        return missing

    def killed(self, pid: int) -> bool:
        """kill -9 of one of them; False: it was gone already."""
        one = next((one for one in self.lives if one.pid == pid), None)
        if one is None or not one.is_alive():
            return False
        end(one)
        return True

    async def hit(self, within_s: float) -> str | None:
        """Which of the armed steps was reached, once the process that did is gone."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if hit := self.armed.hit():
                one = next((one for one in self.lives if one.pid == hit.pid), None)
                if one is None or not one.is_alive():
                    return hit.point
            elif not all(one.is_alive() for one in self.lives):
                self.mend()  # it ended by itself
            await asyncio.sleep(0.005)
        return None

    def stop(self) -> None:
        for one in self.lives:
            if one.is_alive() and one.pid:
                os.kill(one.pid, signal.SIGTERM)
        for one in self.lives:
            end(one, signal.SIGTERM)
        self.lives.clear()
