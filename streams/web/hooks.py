"""What other systems tell us over HTTP. Their credential is the signature of the body, not the token of the API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar import Request, Response, post
from litestar.background_tasks import BackgroundTask

from ..database import Connection
from ..respond.hearing import signatures
from ..respond.hearing.clicks import Nonsense
from ..respond.hearing.ears import Ears, NotNow, first
from ..respond.hearing.signatures import Rejected
from ..settings import Settings
from .answers import Refused
from .shop import Shop

BODY_BYTES_MAX = 512 * 1024  # Slack repeats the whole message with each press, Jira the whole ticket
HEAR_S_MAX = 2.5  # of the three seconds that Slack waits
SLACK, JIRA = "slack_http", "jira"
SAID = {
    "forged": "The signature is missing or not of this body.",
    "stale": "This was signed too long ago.",
    "replayed": "This has been told before.",
}
HINTED = "INSERT INTO hinted (ticket) VALUES (%s) ON CONFLICT (ticket) DO UPDATE SET at = now()"


class Hooks:
    """One of it per process."""

    def __init__(self, settings: Settings, shop: Shop, ears: Ears) -> None:
        self._slack, self._jira = settings.slack_signing_secret, settings.jira_webhook_secret
        self._shop, self.ears = shop, ears

    async def pressed(self, headers: Mapping[str, str], body: bytes) -> Response[str]:
        if not self._slack:
            raise Refused(403, "Buttons over HTTP are off: no signing secret is set (TOCSIN_SLACK_SIGNING_SECRET).")
        try:
            signature = signatures.slack(self._slack, headers, body, time.time())
            async with asyncio.timeout(HEAR_S_MAX), self._shop.connection() as conn:
                replies = await self.ears.pressed(
                    conn, _payload(body), SLACK, once=lambda: _once(conn, {"slack_signature": signature})
                )
        except Rejected as error:
            raise self._rejected(SLACK, error) from None
        except Nonsense as error:
            self.ears.count(SLACK, "garbage")
            raise Refused(400, f"This is no press on a button of ours: {error}.") from None
        except (NotNow, TimeoutError) as error:
            raise Refused(503, f"{error}" or "It takes too long; press again.") from None
        return Response("", background=BackgroundTask(self.ears.reply, replies))

    async def ticket_changed(self, headers: Mapping[str, str], body: bytes) -> None:
        """A hint: that ticket is read at once. What Jira says of it here is not believed."""
        if not self._jira:
            raise Refused(403, "Jira's webhook is off: no secret is set (TOCSIN_JIRA_WEBHOOK_SECRET).")
        try:
            signature = signatures.jira(self._jira, headers.get("x-hub-signature", ""), body)
            told = _decoded(body)
            signatures.fresh(told.get("timestamp"), time.time())
            identifier = headers.get("x-atlassian-webhook-identifier", "")
            seen = {"jira_signature": signature, **({"jira_webhook": identifier} if identifier else {})}
            async with self._shop.connection() as conn:
                await _hinted(conn, seen, _tickets(told))
                await self.ears.tidy(conn)
        except Rejected as error:
            raise self._rejected(JIRA, error) from None
        except Nonsense as error:
            self.ears.count(JIRA, "garbage")
            raise Refused(400, f"This is nothing that Jira tells: {error}.") from None
        self.ears.count(JIRA, "heard")

    def _rejected(self, source: str, error: Rejected) -> Refused:
        self.ears.count(source, error.reason)
        return Refused(401, SAID[error.reason])


@post("/v1/slack/interactions", status_code=200, request_max_body_size=BODY_BYTES_MAX, include_in_schema=False)
async def press(request: Request[Any, Any, Any]) -> Response[str]:
    """A press on a button, as Slack posts it."""
    hooks: Hooks = request.app.state.hooks
    return await hooks.pressed(request.headers, await request.body())


@post("/v1/jira/webhook", status_code=200, request_max_body_size=BODY_BYTES_MAX, include_in_schema=False)
async def ticket_changed(request: Request[Any, Any, Any]) -> Response[str]:
    """Something happened to a ticket, as Jira posts it."""
    hooks: Hooks = request.app.state.hooks
    await hooks.ticket_changed(request.headers, await request.body())
    return Response("")


async def _hinted(conn: Connection, seen: Mapping[str, str], tickets: list[str]) -> None:
    async with conn.transaction():
        await _once(conn, seen)
        for name in tickets:
            await conn.execute(HINTED, [name])


async def _once(conn: Connection, seen: Mapping[str, str]) -> None:
    for source, key in seen.items():
        if not await first(conn, source, key):
            raise Rejected("replayed")


def _payload(body: bytes) -> Any:
    """The form's only field; signed, and still nothing to rely on."""
    try:
        given = parse_qs(body.decode(), strict_parsing=True, max_num_fields=10)
        return msgspec.json.decode(given["payload"][0])
    except (ValueError, KeyError, msgspec.DecodeError, RecursionError):
        raise Nonsense("not a form with a payload") from None


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Nonsense("not JSON") from None
    if not isinstance(found, dict):
        raise Nonsense("not an object")
    return found


def _tickets(told: dict[str, Any]) -> list[str]:
    """By whatever name we may know it."""
    ticket = told.get("issue")
    names = [ticket.get("id"), ticket.get("key")] if isinstance(ticket, dict) else []
    return [name for name in names if isinstance(name, str) and 0 < len(name) <= 100 and name.isprintable()]


HANDLERS = [press, ticket_changed]
