"""Metrics, liveness and readiness of a role over HTTP. Alive means progress, not a process; ready, that it waits for nobody."""

from __future__ import annotations

import time

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

STALLED_S = 30.0
WAITING = "tocsin_waiting"  # gauge of a role's loops: 1 while one waits for what it needs


class Health:
    """Serves `/metrics` and `/live` on loopback unless told otherwise. Every turn of a role's loop calls `progress`."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int, *, role: str) -> None:
        self.registry, self.host, self.port, self.role = registry, host, port, role
        self._last = time.monotonic()
        self._runner: web.AppRunner | None = None
        Gauge("tocsin_progress_age_seconds", "Since the role's loop last turned", registry=registry).set_function(
            self.age_s
        )

    def progress(self) -> None:
        self._last = time.monotonic()

    def age_s(self) -> float:
        return time.monotonic() - self._last

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(
            [web.get("/metrics", self._metrics), web.get("/live", self._live), web.get("/ready", self._ready)]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _live(self, _: web.Request) -> web.Response:
        age = self.age_s()
        alive = age < STALLED_S
        body = {"role": self.role, "alive": alive, "progress_age_s": round(age, 3)}
        return web.json_response(body, status=200 if alive else 503)

    async def _ready(self, _: web.Request) -> web.Response:
        """503 while something it needs is away, or while it stalls; which, in words."""
        samples = [sample for family in self.registry.collect() if family.name == WAITING for sample in family.samples]
        waits = [f"{one.labels['loop']} waits for {one.labels['for']}" for one in samples if one.value]
        if self.age_s() >= STALLED_S:
            waits.append(f"nothing has been finished for {self.age_s():.0f} s")
        body = {"role": self.role, "ready": not waits, "waits": sorted(waits)}
        return web.json_response(body, status=503 if waits else 200)
