"""An administrator's webhook: told of what happens to tickets, signed, and again when nobody took it."""

import asyncio
import hashlib
import hmac
import time
from typing import Any

import aiohttp
import msgspec

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
TIMES = 6  # the first and five more


class Webhook(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    secret: str = ""
    retry_s: float = 60.0
    method: str = "sha256"


class Sent(msgspec.Struct):
    """One event and how its deliveries went: statuses, None where there was no answer."""

    event: str
    identifier: str
    statuses: list[int | None] = []


class Hooks:
    def __init__(self) -> None:
        self.target: Webhook | None = None
        self.sent: list[Sent] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, event: str, body: dict[str, Any]) -> None:
        """From now on it is delivered as well as it goes: late, in any order, or never."""
        if self.target is None:
            return
        body = {"timestamp": int(time.time() * 1000), "webhookEvent": event, **body}
        name = hashlib.sha256(f"{len(self.sent)} {event} {body['timestamp']}".encode()).hexdigest()[:32]
        sent = Sent(event, name)
        self.sent.append(sent)
        task = asyncio.get_running_loop().create_task(self._deliver(self.target, sent, msgspec.json.encode(body)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, target: Webhook, sent: Sent, raw: bytes) -> None:
        headers = {"Content-Type": "application/json; charset=UTF-8", "X-Atlassian-Webhook-Identifier": sent.identifier}
        if target.secret:
            headers["X-Hub-Signature"] = signature(target, raw)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5.0)) as session:
            for again in range(TIMES):
                retry = {"X-Atlassian-Webhook-Retry": str(again)} if again else {}
                status = await _post(session, target.url, raw, headers | retry)
                sent.statuses.append(status)
                if status is not None and status not in RETRIED:
                    return
                await asyncio.sleep(target.retry_s)


def signature(target: Webhook, raw: bytes) -> str:
    """Over the body as it is on the wire."""
    return f"{target.method}={hmac.new(target.secret.encode(), raw, getattr(hashlib, target.method)).hexdigest()}"


async def _post(session: aiohttp.ClientSession, url: str, raw: bytes, headers: dict[str, str]) -> int | None:
    try:
        async with session.post(url, data=raw, headers=headers, allow_redirects=False) as answer:
            return answer.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
