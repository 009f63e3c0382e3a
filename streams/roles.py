"""The roles, and how one runs: settings, policy, metrics, liveness, a clean end on SIGTERM."""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import logging
import os
import signal
import sys
from datetime import datetime
from importlib.metadata import version

import uvloop
from prometheus_client import CollectorRegistry

from . import topics
from .policy import Policy
from .selfreport import Beat, SelfReport
from .selfreporting import SelfReporting
from .settings import Settings

PR_SET_PDEATHSIG = 1
ROLES = ("intake", "detect", "respond", "learn", "web")
MODULES = {role: f"streams.{role}.worker" for role in ROLES} | {"web": "streams.web.app"}


def run(role: str, settings: Settings, policy: Policy) -> int:
    """Run one role until SIGTERM or SIGINT. Answers the exit code: 0 asked to end, 1 failed."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=f"{role} %(levelname)s %(name)s: %(message)s")
    logging.getLogger("streams").setLevel(logging.INFO)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(role, settings, policy))


def end_with(parent: int) -> None:
    """Linux sends SIGTERM when the process that started this one is gone, however it ended: none is left behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone before we could ask
        sys.exit(0)


async def _run(role: str, settings: Settings, policy: Policy) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    registry = CollectorRegistry()
    from .health import Health  # noqa: PLC0415 - an HTTP server that no other command waits for

    health = Health(registry, settings.metrics_host, settings.metrics_port, role=role)
    await health.start()
    reporting = asyncio.create_task(_report(role, settings, registry, stop))
    try:
        await importlib.import_module(MODULES[role]).run(settings, policy, registry, health.progress, stop)
    except Exception:  # the last place that can say why a role ended
        logging.getLogger(f"streams.{role}").exception("the %s role ends", role)
        reporting.cancel()  # without the last heartbeat, which would say that all is well
        return 1
    finally:
        stop.set()
        await asyncio.wait([reporting])
        await health.stop()
    return 0


async def _report(role: str, settings: Settings, registry: CollectorRegistry, stop: asyncio.Event) -> None:
    """What this process says of itself, from the numbers it shows on `/metrics`."""
    if not settings.self_report_s or not settings.kafka:
        return
    report = SelfReport(role, settings.replica, version("tocsin"), settings.self_report_s)
    shown = registry.restricted_registry(report.samples)

    def beat(at: datetime, ended: bool) -> Beat:
        samples = [sample for family in shown.collect() for sample in family.samples]
        return report.beat(samples, at, topics.TIMELINE.partitions, ended=ended)

    timeline = topics.named(topics.TIMELINE, settings.generation)
    await SelfReporting(settings.kafka, timeline, settings.self_report_s, beat).run(stop)
