"""Webhooks V3 of the sandbox PagerDuty: what a person does on its page is told, signed, at least once."""

import asyncio
import hmac
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp
import msgspec

from streams.sandbox.pagerduty.state import Alert

ATTEMPTS = 5
AGAIN_S = 0.2
TIMEOUT_S = 5.0


class Subscription(NamedTuple):
    """Where webhooks go and what they are signed with; several secrets are separated by commas."""

    url: str
    secret: str


class Delivery(NamedTuple):
    """One attempt as it was made, so that it can be repeated to the byte."""

    headers: dict[str, str]
    body: bytes


class Sender:
    def __init__(self, subscription: Subscription | None) -> None:
        self.subscription = subscription
        self.sent: list[Delivery] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, alert: Alert, what: str, by: str, origin: str) -> None:
        """Beside the page's own answer, as PagerDuty does."""
        if self.subscription is None:
            return
        body = msgspec.json.encode({"event": _event(alert, what, by, origin)})
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "PagerDuty-Webhook/V3.0",
            "X-PagerDuty-Signature": signature(self.subscription.secret, body),
            "X-Webhook-Id": str(uuid4()),
            "X-Webhook-Subscription": "PSANDBOX",
        }
        task = asyncio.create_task(self._deliver(self.subscription.url, Delivery(headers, body)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, url: str, delivery: Delivery) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_S)) as session:
            for attempt in range(ATTEMPTS):
                self.sent.append(delivery)
                if await _told(session, url, delivery):
                    return
                await asyncio.sleep(AGAIN_S * 2**attempt)


async def _told(session: aiohttp.ClientSession, url: str, delivery: Delivery) -> bool:
    """Whether that is the end of it: a refusal is final."""
    try:
        async with session.post(url, data=delivery.body, headers=delivery.headers, allow_redirects=False) as answer:
            return answer.status < 500 and answer.status != 429
    except (aiohttp.ClientError, TimeoutError):
        return False


def signature(secrets: str, body: bytes) -> str:
    return ",".join(f"v1={hmac.new(one.encode(), body, 'sha256').hexdigest()}" for one in secrets.split(","))


def _event(alert: Alert, what: str, by: str, origin: str) -> dict[str, Any]:
    person = {"id": "PSANDBOX1", "type": "user_reference", "summary": by, "html_url": f"{origin}/users/PSANDBOX1"}
    return {
        "id": str(uuid4()),
        "event_type": f"incident.{what}",
        "resource_type": "incident",
        "occurred_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "agent": person,
        "client": {"name": "PagerDuty"},
        "data": {
            "id": f"P{alert.number:07d}",
            "type": "incident",
            "html_url": f"{origin}/alerts/{alert.number}",
            "number": alert.number,
            "status": alert.status,
            "incident_key": alert.key,
            "created_at": alert.opened.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "title": alert.summary,
            "service": {"id": alert.service, "type": "service_reference", "summary": alert.service},
            "urgency": "high",
            "resolve_reason": None,
        },
    }
