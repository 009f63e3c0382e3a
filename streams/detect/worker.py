"""The detect role: folds of sessions and scopes, wired to Faust."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from .. import topics
from ..policy import Policy
from ..settings import Settings
from ..topics import named
from .catalogue import scope_deciders, session_deciders
from .engine.app import Address, Engine
from .engine.group import Groups
from .engine.limits import Limits
from .engine.metrics import Metrics
from .fold import SCOPE_IDLE_S, Fold
from .scope.series import Series
from .scopes import Scopes
from .sessions import Sessions


async def run(
    settings: Settings,
    policy: Policy,
    registry: CollectorRegistry,
    progress: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Until `stop` is set. Leaves the process at once when going on could lose or double something."""
    await topics.ensure(settings.kafka, settings.generation, settings.replication)
    await engine(settings, policy, Limits(), Metrics(registry), progress).run(stop)


def engine(
    settings: Settings, policy: Policy, limits: Limits, metrics: Metrics, progress: Callable[[], None]
) -> Engine:
    """Everything wired, nothing started."""
    generation = settings.generation
    address = Address(
        kafka=settings.kafka,
        app=f"tocsin-detect-g{generation}",
        replica=settings.replica,
        datadir=settings.datadir / "detect",
        timeline=named(topics.TIMELINE, generation),
        facts=named(topics.FACTS, generation),
        topics={
            "facts": named(topics.FACTS, generation),
            "findings": named(topics.FINDINGS, generation),
            "exposure": named(topics.EXPOSURE, generation),
            "deadletters": named(topics.DEADLETTERS, generation),
        },
    )
    sessions, scopes = _sessions(policy, limits, generation), _scopes(policy, limits, generation)
    return Engine(address, sessions, scopes, metrics, progress)


def _sessions(policy: Policy, limits: Limits, generation: int) -> Groups:
    store: dict[str, bytes] = {}
    fold = Fold(session_deciders(policy.detectors, policy.given), store.get, policy.digest)
    stage = Sessions(fold, store.get, topics.TIMELINE.partitions, topics.FACTS.partitions)
    return Groups(stage, store, named(topics.SESSIONS_CHANGELOG, generation), limits)


def _scopes(policy: Policy, limits: Limits, generation: int) -> Groups:
    store: dict[str, bytes] = {}
    deciders: Any = (*scope_deciders(policy.detectors, policy.given), Series())
    fold = Fold(deciders, store.get, policy.digest, idle_s=SCOPE_IDLE_S)
    return Groups(Scopes(fold, store.get), store, named(topics.SCOPES_CHANGELOG, generation), limits)
