"""A fleet of agents that misbehave on purpose, and healthy ones beside them, producing to a real Kafka."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

SUPPORT, RESEARCH, BILLING, LEGACY = "support-bot", "research-bot", "billing-bot", "legacy-bot"
SHOPPING = ("shop-bot", "mail-bot")  # healthy by themselves, but they need the inventory
INVENTORY = "inventory-mcp"
TRIES = {
    "shop-bot": 3,
    "mail-bot": 1,
}  # one gives up at once, the other is a trouble of its own, which the service explains
STABLE, REGRESSED, FIXED = "2026.11.1", "2026.11.2", "2026.11.3"
SESSIONS_BEFORE_CANARY = 30
EVALUATOR = "groundedness"
TEAMS = {
    SUPPORT: "support",
    RESEARCH: "research",
    BILLING: "payments",
    LEGACY: "platform",
    "shop-bot": "shop",
    "mail-bot": "mail",
}


class Fleet:
    """Runs until its task is cancelled. `fixed` is set by whoever repairs the regression; `calm` ends the other troubles."""

    def __init__(self, bootstrap: str, *, session_s: float = 0.25) -> None:
        self.bootstrap, self.session_s = bootstrap, session_s
        self.fixed = asyncio.Event()
        self.calm: set[str] = set()
        self.sent = 0
        self._ids = itertools.count(1)
        self._producer: AIOKafkaProducer | None = None

    async def run(self) -> None:
        async with self._producing():
            works: list[Callable[[], Any]] = [self._support, self._research, self._billing, self._legacy]
            async with asyncio.TaskGroup() as group:
                for work in works:
                    group.create_task(work())
                for agent in SHOPPING:
                    group.create_task(self._shopping(agent))

    @asynccontextmanager
    async def _producing(self) -> AsyncIterator[None]:
        self._producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=5)
        await self._producer.start()
        try:
            yield
        finally:
            await self._producer.stop()

    # -- the agents -----------------------------------------------------------------------------------------------

    async def _healthy(self, agent: str) -> None:
        for n in itertools.count():
            await self._session(agent, "7", f"u{n % 40}")

    async def _shopping(self, agent: str) -> None:
        """Agents whose sessions end well, although a service that they share is down until it is repaired."""
        for n in itertools.count():
            error = {
                "type": "HTTPError",
                "template": f"503 Service Unavailable: stock of warehouse {n % 7}, request req_{n}",
            }
            stock = {"name": "stock.check", "server": INVENTORY}
            failing = None if INVENTORY in self.calm else error
            await self._session(agent, "7", f"u{n % 40}", asks=stock, error=failing)

    async def _support(self) -> None:
        """A stable release, then one whose answers are no longer grounded, then, once somebody fixed it, a good one."""
        await self._release(STABLE, None)
        for n in range(SESSIONS_BEFORE_CANARY):
            await self._session(SUPPORT, STABLE, f"u{n}", score=0.93)
        await self._release(REGRESSED, STABLE)
        n = 0
        while not self.fixed.is_set():
            n += 1
            bad = n % 5 < 3
            await self._canary(REGRESSED, n, 0.31 if bad else 0.9)
        await self._release(FIXED, REGRESSED)
        for n in itertools.count():
            await self._canary(FIXED, n, 0.94)

    async def _canary(self, release: str, n: int, score: float) -> None:
        """A session in the release that is on trial, and one beside it in the stable one."""
        trial = self._session(SUPPORT, release, f"u{n}", score=score)
        await asyncio.gather(trial, self._session(SUPPORT, STABLE, f"v{n}", score=0.93))

    async def _research(self) -> None:
        """One session that does not stop asking a dear model; the others behave."""
        ctx = self._ctx(RESEARCH, "3.2", "runaway", "u-night")
        await self._send("session.started", ctx, attribution=_attribution(RESEARCH), model="deep-thinker")
        for n in range(40):
            tokens = {"input": 60_000 + 9_000 * n, "output": 4_000}
            cost = {"amount": f"{0.45 + 0.02 * n:.2f}", "currency": "USD"}
            await self._llm(ctx, tokens=tokens, cost=cost, model="deep-thinker")
            await asyncio.sleep(self.session_s / 2)
        await self._send("session.ended", ctx, status="cancelled")
        await self._healthy(RESEARCH)

    async def _billing(self) -> None:
        """One long session whose tool answers 503 until it is repaired."""
        ctx = self._ctx(BILLING, "12", "refunds-of-the-night", "u-finance")
        await self._send("session.started", ctx, attribution=_attribution(BILLING))
        for n in itertools.count():
            error = {"type": "HTTPError", "template": f"503 Service Unavailable: refund gateway, request req_{n}"}
            await self._tool(ctx, {"name": "refund.create"}, None if BILLING in self.calm else error)
            await asyncio.sleep(self.session_s * 4)

    async def _legacy(self) -> None:
        """A producer that was never updated: durations as text, and a status it made up."""
        for n in itertools.count():
            if LEGACY in self.calm:
                await self._session(LEGACY, "1", f"u{n}")
                continue
            ctx = self._ctx(LEGACY, "1", f"s{n}", None)
            await self._send(
                "tool.called", ctx, call_id=f"c{n}", tool={"name": "lookup"}, duration_ms="12 ms", status="ok"
            )
            await asyncio.sleep(self.session_s)

    # -- what they do ---------------------------------------------------------------------------------------------

    async def _session(
        self, agent: str, release: str, user: str, *, score: float | None = None, asks: Any = None, error: Any = None
    ) -> None:
        ctx = self._ctx(agent, release, f"s{next(self._ids)}", user)
        await self._send("session.started", ctx, attribution=_attribution(agent), model="everyday")
        await self._llm(ctx, tokens={"input": 900, "output": 120}, cost={"amount": "0.0031", "currency": "USD"})
        for _ in range(TRIES[agent] if asks else 0):
            await self._tool(ctx, asks, error)
        await self._tool(ctx, {"name": "lookup"}, None)
        await asyncio.sleep(self.session_s)
        passed = score is None or score >= 0.7
        if score is not None:
            evaluator = {"name": EVALUATOR, "kind": "LLM", "version": "4"}
            await self._send(
                "eval.scored", ctx, evaluator=evaluator, status="ok", score=score, threshold=0.7, passed=passed
            )
        await self._send("session.ended", ctx, status="succeeded")

    async def _llm(self, ctx: dict[str, Any], *, tokens: Any, cost: Any, model: str = "everyday") -> None:
        call = {"call_id": f"c{next(self._ids)}", "provider": "example", "model": model, "status": "ok"}
        await self._send("llm.called", ctx, **call, duration_ms=800, tokens=tokens, cost=cost)

    async def _tool(self, ctx: dict[str, Any], tool: dict[str, str], error: Any) -> None:
        number = next(self._ids)
        call: dict[str, Any] = {"call_id": f"c{number}", "tool": tool, "duration_ms": 40, "args_hash": f"b2:{number}"}
        outcome = {"status": "error", "error": error} if error else {"status": "ok", "result_hash": f"b2:r{number}"}
        await self._send("tool.called", ctx, **call, **outcome)

    async def _release(self, release: str, parent: str | None) -> None:
        data = {"agent": SUPPORT, "release": release, "parents": [parent] if parent else [], "commit": f"c-{release}"}
        await self._put("delivery.events", SUPPORT, self._event("release.registered.v1", "/ci", data))

    async def proven(self, case: str) -> None:
        """CI ran the regression case of the fixed release three times, and it passed."""
        runs = {"case_id": case, "runs": 3, "passes": 3, "baseline_passes": 3}
        data = {"agent": SUPPORT, "release": FIXED, **runs}
        await self._put("delivery.events", SUPPORT, self._event("case.scored.v1", "/ci", data))

    async def _send(self, kind: str, ctx: dict[str, Any], **data: Any) -> None:
        event = self._event(f"agent.{kind}.v1", f"/demo/{ctx['agent']['id']}", {"ctx": ctx, **data})
        await self._put("agent.events", ctx["session_id"], event)

    async def _put(self, topic: str, key: str, event: dict[str, Any]) -> None:
        assert self._producer is not None
        await self._producer.send(topic, json.dumps(event).encode(), key=key.encode())
        self.sent += 1

    def _ctx(self, agent: str, release: str, session: str, user: str | None) -> dict[str, Any]:
        ctx = {
            "session_id": f"{agent}/{session}",
            "run_id": "r1",
            "agent": {"id": agent, "version": release},
            "env": "prod",
        }
        return {**ctx, "user": user} if user else ctx

    def _event(self, kind: str, source: str, data: dict[str, Any]) -> dict[str, Any]:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        return {
            "specversion": "1.0",
            "id": f"e{next(self._ids)}",
            "source": source,
            "type": kind,
            "time": at,
            "data": data,
        }


def _attribution(agent: str) -> dict[str, Any]:
    operator = {"team": TEAMS[agent], "contact": f"{TEAMS[agent]}@example.com"}
    return {
        "system": "demo",
        "account": f"svc-{agent}",
        "policy": {"id": "default", "version": "1"},
        "operator": operator,
    }


def troubles() -> Iterator[tuple[str, str, str]]:
    """Name, detector and what it is about, an agent or a dependency, of every trouble that the fleet makes."""
    yield "evaluator regression in a new release", "eval.failure_rate", SUPPORT
    yield "runaway session", "cost.session", RESEARCH
    yield "a tool that keeps failing", "tool.repeated_error", BILLING
    yield "a service that several agents need is down", "tool.dependency", INVENTORY
    yield "a producer that sends broken events", "intake.rejected", LEGACY
