"""What people do in PagerDuty, told by its signed webhooks: whoever acknowledges there has the incident in hand here."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, Response, post
from msgspec import Struct

from ..database import Connection
from ..learn.recording import put
from ..records import Acknowledgement
from ..respond.hearing.ears import Ears, first
from ..respond.hearing.signatures import Rejected
from ..respond.receivers.jira_text import line
from ..respond.receivers.pagerduty import incident_of
from ..settings import Secret, Settings
from .answers import Refused
from .hooks import SAID
from .reading import exists
from .shop import Shop

BODY_BYTES_MAX = 512 * 1024
STALE_S = 3600.0  # PagerDuty tells again for about twenty minutes
ACTOR_MAX = 100
SOURCE = "pagerduty"
HANDS = frozenset({"incident.acknowledged", "incident.resolved"})


class Agent(Struct, frozen=True):
    type: str | None = None
    summary: str | None = None


class Data(Struct, frozen=True):
    incident_key: str | None = None


class Event(Struct, frozen=True):
    id: str
    event_type: str
    occurred_at: datetime
    agent: Agent | None = None
    data: Data | None = None


class Told(Struct, frozen=True):
    event: Event


class PagerDutyHooks:
    """One of it per process. It has no word for how a trouble ended: resolved there is in hand here, no outcome."""

    def __init__(self, settings: Settings, shop: Shop, ears: Ears) -> None:
        self._secret, self._deployment = settings.pagerduty_webhook_secret, settings.deployment
        self._shop, self._ears = shop, ears

    async def heard(self, headers: Mapping[str, str], body: bytes) -> None:
        if not self._secret:
            raise Refused(403, "This webhook is off: no secret is set (TOCSIN_PAGERDUTY_WEBHOOK_SECRET).")
        try:
            if not signed(self._secret, headers.get("x-pagerduty-signature", ""), body):
                raise Rejected("forged")
            event = msgspec.json.decode(body, type=Told).event
            result = await self._written(event)
        except Rejected as error:
            self._ears.count(SOURCE, error.reason)
            raise Refused(401, SAID[error.reason]) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._ears.count(SOURCE, "garbage")
            raise Refused(400, "This is nothing that PagerDuty tells.") from None
        self._ears.count(SOURCE, result)

    async def _written(self, event: Event) -> str:
        if event.occurred_at.tzinfo is None or abs(time.time() - event.occurred_at.timestamp()) > STALE_S:
            raise Rejected("stale")
        async with self._shop.connection() as conn:
            async with conn.transaction():
                if not await first(conn, "pagerduty", event.id):
                    raise Rejected("replayed")
                result = await self._heard(conn, event)
            await self._ears.tidy(conn)
        return result

    async def _heard(self, conn: Connection, event: Event) -> str:
        person = event.agent is not None and event.agent.type == "user_reference"
        if event.event_type not in HANDS or not person:  # what we do there ourselves is told, too
            return "ignored"
        incident = incident_of(self._deployment, (event.data and event.data.incident_key) or "")
        if incident is None or not await exists(conn, incident):
            return "unknown"
        actor = line((event.agent and event.agent.summary) or "", ACTOR_MAX) or "somebody"
        actor = self._shop.recorder.typed(actor)
        await put(conn, Acknowledgement(incident, datetime.now(UTC), actor, SOURCE))
        return "heard"


def signed(secrets: Secret, header: str, body: bytes) -> bool:
    """By any of our secrets; there are two while one replaces the other, on either side."""
    given = [one.strip().removeprefix("v1=") for one in header.split(",") if one.strip().startswith("v1=")]
    expected = [hmac.new(one.encode(), body, "sha256").hexdigest() for one in secrets.reveal().split(",") if one]
    same = [hmac.compare_digest(one.encode(errors="replace"), right.encode()) for one in given for right in expected]
    return any(same)


@post("/v1/pagerduty/webhook", status_code=200, request_max_body_size=BODY_BYTES_MAX, include_in_schema=False)
async def told(request: Request[Any, Any, Any]) -> Response[str]:
    """Something happened to an incident, as PagerDuty posts it."""
    hooks: PagerDutyHooks = request.app.state.pagerduty
    await hooks.heard(request.headers, await request.body())
    return Response("")


HANDLERS = [told]
