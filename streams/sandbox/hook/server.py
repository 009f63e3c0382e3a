"""A receiver of Standard Webhooks that runs inside this process, written as somebody would who got only the address."""

import base64
import hmac
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from streams.sandbox.faults import Faults
from streams.sandbox.journal import Journal
from streams.sandbox.serving import Serving, answered

SECRET = "whsec_c2FuZGJveC1ob29rLWtleS1vZi0zMi1ieXRlcyEhISE="  # noqa: S105 - of the sandbox, known to everybody
TOLERANCE_S = 300
SHOWN = 200


class Kept(msgspec.Struct):
    """A webhook as it came."""

    id: str
    name: str
    at: datetime
    body: dict[str, Any]


class SandboxHook:
    """`kept` has each id once. `counted` says what became of the calls: kept, repeated, forged, stale, unreadable."""

    def __init__(
        self, *, port: int = 0, host: str = "127.0.0.1", secret: str = SECRET, path: Path | None = None
    ) -> None:
        self.serving = Serving(Path(__file__).parent, host, port)
        self.kept: dict[str, Kept] = {}
        self.counted: Counter[str] = Counter()
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._journal = Journal(path)
        for raw in self._journal.read():
            kept = msgspec.json.decode(raw, type=Kept)
            self.kept[kept.id] = kept
        self.serving.app.router.add_get("/", self._page)
        self.serving.app.router.add_post("/hooks/{name}", self._receive)

    async def start(self) -> str:
        """The address of the page; webhooks go to this and `/hooks/<name>`."""
        return await self.serving.start()

    async def stop(self) -> None:
        await self.serving.stop()
        self._journal.close()

    @property
    def faults(self) -> Faults:
        return self.serving.faults

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        trouble = self._trouble(request, body)
        if trouble:
            self.counted[trouble] += 1
            return answered({"error": trouble}, status=401)
        try:
            found = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            self.counted["unreadable"] += 1
            return answered({"error": "unreadable"}, status=400)
        mark = request.headers["webhook-id"]
        if mark in self.kept:
            self.counted["repeated"] += 1
            return answered({"id": mark, "repeated": True})
        self.counted["kept"] += 1
        self.kept[mark] = Kept(mark, request.match_info["name"], datetime.now(UTC), found)
        self._journal.append(self.kept[mark])
        return answered({"id": mark})

    def _trouble(self, request: web.Request, body: bytes) -> str | None:
        mark, sent = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        text = f"{mark}.{sent}.".encode() + body
        right = base64.b64encode(hmac.digest(self._key, text, "sha256")).decode()
        given = request.headers.get("webhook-signature", "").split(" ")
        signed = [one.removeprefix("v1,") for one in given if one.startswith("v1,")]
        if not mark or not any(hmac.compare_digest(one.encode(), right.encode()) for one in signed):
            return "forged"
        fresh = sent.isascii() and sent.isdigit() and abs(time.time() - int(sent)) <= TOLERANCE_S
        return None if fresh else "stale"

    async def _page(self, _: web.Request) -> web.Response:
        kept = [*self.kept.values()][::-1]
        bodies = [
            (one, _headline(one.body), msgspec.json.format(msgspec.json.encode(one.body)).decode())
            for one in kept[:SHOWN]
        ]
        return self.serving.page("kept.html", bodies=bodies, counted=dict(self.counted))


def _headline(body: dict[str, Any]) -> str:
    data = body.get("data")
    return str(data.get("headline", "")) if isinstance(data, dict) else ""
