"""Webhooks of the sandbox GitHub: signed, once each; repeated only when a person asks for it."""

import asyncio
import hmac
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp
import msgspec

from streams.sandbox.github.state import Run

INSTALLATION = 9
TIMEOUT_S = 10.0


class Subscription(NamedTuple):
    """Where webhooks go and what they are signed with."""

    url: str
    secret: str


class Delivery(NamedTuple):
    """As it was made, so that it can be repeated to the byte."""

    headers: dict[str, str]
    body: bytes


class Sender:
    def __init__(self, subscription: Subscription | None) -> None:
        self.subscription = subscription
        self.sent: list[Delivery] = []
        self.answers: list[int | None] = []  # None: nobody answered
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, event: str, body: dict[str, Any]) -> Delivery | None:
        """Beside the page's own answer."""
        if self.subscription is None:
            return None
        raw = msgspec.json.encode(body)
        delivery = Delivery(
            {
                "Content-Type": "application/json",
                "User-Agent": "GitHub-Hookshot/044aadd",
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": str(uuid4()),
                "X-GitHub-Hook-Installation-Target-Type": "integration",
                "X-Hub-Signature-256": signature(self.subscription.secret, raw),
            },
            raw,
        )
        self.repeat(delivery)
        return delivery

    def repeat(self, delivery: Delivery) -> None:
        self.sent.append(delivery)
        task = asyncio.create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, delivery: Delivery) -> None:
        assert self.subscription is not None
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_S)) as session:
            try:
                async with session.post(
                    self.subscription.url, data=delivery.body, headers=delivery.headers, allow_redirects=False
                ) as answer:
                    self.answers.append(answer.status)
            except (aiohttp.ClientError, TimeoutError):
                self.answers.append(None)


def signature(secret: str, body: bytes) -> str:
    return f"sha256={hmac.new(secret.encode(), body, 'sha256').hexdigest()}"


def requested(run: Run, api: str) -> dict[str, Any]:
    """The body of `deployment_protection_rule`."""
    owner, _, name = run.repository.partition("/")
    where = f"{api}/repos/{run.repository}"
    return {
        "action": "requested",
        "environment": run.environment,
        "event": "push",
        "deployment_callback_url": f"{where}/actions/runs/{run.id}/deployment_protection_rule",
        "deployment": {
            "url": f"{where}/deployments/{run.id}",
            "id": run.id,
            "sha": run.sha,
            "ref": run.ref,
            "task": "deploy",
            "payload": {},
            "environment": run.environment,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        },
        "pull_requests": [],
        "repository": {"id": 1, "name": name, "full_name": run.repository, "owner": {"login": owner}},
        "organization": {"login": owner, "id": 2},
        "installation": {"id": INSTALLATION},
        "sender": {"login": "ada", "id": 3, "type": "User"},
    }


def pushed(repository: str, sha: str) -> dict[str, Any]:
    """The body of `check_suite`, which an app hears for each push."""
    return {
        "action": "requested",
        "check_suite": {"id": 5, "head_sha": sha, "head_branch": "main", "status": "queued", "conclusion": None},
        "repository": {"id": 1, "full_name": repository},
        "installation": {"id": INSTALLATION},
        "sender": {"login": "ada", "id": 3, "type": "User"},
    }
