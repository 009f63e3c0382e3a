"""A PagerDuty that runs inside this process: Events API v2, who is on call, a page, and webhooks back."""

import hmac
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from streams.sandbox.faults import Faults
from streams.sandbox.pagerduty.pages import Pages
from streams.sandbox.pagerduty.state import Book, Person, complaints
from streams.sandbox.pagerduty.webhooks import Sender, Subscription
from streams.sandbox.serving import Serving, answered

BODY_BYTES_MAX = 512 * 1024
KEY = "0123456789abcdef0123456789abcdef"
SCHEDULE = "PSCHED1"
PER_MINUTE = 120  # of PagerDuty itself


class Violation(NamedTuple):
    """An event that PagerDuty would have refused for coming too soon."""

    service: str
    at: float


class SandboxPagerDuty:
    """`services` is name -> routing key. `rate_limit` (events in 60 s for each key) refuses; `violations` are those
    beyond PagerDuty's own limit or that one, refused or not.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        token: str | None = None,
        path: Path | None = None,
        subscription: Subscription | None = None,
    ) -> None:
        self.book = Book(path)
        self.book.schedules[SCHEDULE] = [Person("PADA", "Ada Lindqvist", "ada@example.com")]
        self.services = {"platform": KEY}
        self.serving = Serving(Path(__file__).parent, host, port)
        self.sender = Sender(subscription)
        self.rate_limit: int | None = None
        self.violations: list[Violation] = []
        self._token = token
        self._taken: dict[str, deque[float]] = {}
        router = self.serving.app.router
        router.add_post("/v2/enqueue", self._enqueue)
        router.add_get("/oncalls", self._oncalls)
        router.add_get("/_sandbox/violations", self._violations)
        Pages(self.book, self.serving, self.sender)

    async def start(self) -> str:
        """The address of the pages and of the REST API; events go to this and `/v2/enqueue`."""
        return await self.serving.start()

    async def stop(self) -> None:
        await self.sender.stop()
        await self.serving.stop()
        self.book.close()

    @property
    def faults(self) -> Faults:
        return self.serving.faults

    async def _enqueue(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if len(body) > BODY_BYTES_MAX:
            return answered({"status": "invalid event", "message": "Payload too large", "errors": []}, status=413)
        try:
            event: Any = msgspec.json.decode(body)
        except msgspec.DecodeError:
            event = None
        found = complaints(event)
        service = next((name for name, key in self.services.items() if not found and key == event["routing_key"]), None)
        if service is None:
            errors = found or ["'routing_key' is invalid"]
            return answered(
                {"status": "invalid event", "message": "Event object is invalid", "errors": errors}, status=400
            )
        if self._full(service) and self.rate_limit is not None:
            return answered({"status": "throttle exceeded", "message": "Too many events"}, status=429)
        key = event.get("dedup_key") or f"{time.time_ns():x}"
        self.book.accept(service, event, key)
        return answered({"status": "success", "message": "Event processed", "dedup_key": key}, status=202)

    def _full(self, service: str) -> bool:
        taken, now = self._taken.setdefault(service, deque()), time.monotonic()
        while taken and now - taken[0] > 60.0:
            taken.popleft()
        if len(taken) >= (self.rate_limit if self.rate_limit is not None else PER_MINUTE):
            self.violations.append(Violation(service, time.time()))
            return True
        taken.append(now)
        return False

    async def _violations(self, _: web.Request) -> web.StreamResponse:
        return answered(self.violations)

    async def _oncalls(self, request: web.Request) -> web.StreamResponse:
        if self._token is not None and not _shown(request, self._token):
            return answered({"error": {"message": "Account Not Found", "code": 2006}}, status=401)
        if "application/vnd.pagerduty+json;version=2" not in request.headers.get("Accept", ""):
            return answered({"error": {"message": "Wrong API version", "code": 2003}}, status=400)
        whole = "users" in request.query.getall("include[]", [])
        entries = [
            _entry(schedule, person, whole=whole)
            for schedule in request.query.getall("schedule_ids[]", [*self.book.schedules])
            for person in self.book.schedules.get(schedule, ())
        ]
        return answered({"oncalls": entries, "limit": 25, "offset": 0, "more": False, "total": None})


def _shown(request: web.Request, token: str) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" token=")
    return scheme == "Token" and hmac.compare_digest(shown.encode(), token.encode())


def _entry(schedule: str, person: Person, *, whole: bool) -> dict[str, Any]:
    user = {"id": person.id, "type": "user" if whole else "user_reference", "summary": person.name}
    return {
        "escalation_policy": {"id": "PESC1", "type": "escalation_policy_reference", "summary": "Default"},
        "escalation_level": person.level,
        "schedule": {"id": schedule, "type": "schedule_reference", "summary": schedule},
        "user": {**user, "name": person.name, "email": person.email} if whole else user,
        "start": None,
        "end": None,
    }
