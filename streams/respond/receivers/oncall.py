"""Who is on call, asked when a page is sent: quick, remembered for a minute, never failing, never in a page's way."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from ...records import NotDone
from ...settings import Secret
from . import http_wire, slack_wire
from .pacing import Allowed, Buckets

log = logging.getLogger(__name__)

FRESH_S = 60.0
STALE_S = 86_400.0  # who was on call this long ago is better than nobody, while nobody answers
AGAIN_S = 10.0  # after a failure
WAIT_S = 2.0  # a page waits no longer than this
WAIT_S_MAX = 60.0  # for an outside that asks us to wait
NAMES_MAX = 1000
SLACK = Allowed(at_once=25, every_s=2.4)  # what Slack grants people's addresses; posts are counted by themselves
SCHEDULES = Allowed(at_once=40, every_s=0.5)  # PagerDuty grants 960 a minute
_ID = re.compile(r"[UWS][A-Z0-9]{2,30}\Z")

Question = Callable[[], Coroutine[Any, Any, str | None]]


class Unanswered(Exception):
    """Nobody can tell now: what was known goes on."""


class Known(NamedTuple):
    who: str | None
    at: float  # when it was answered


class Schedules:
    """PagerDuty's REST API, reading only."""

    def __init__(self, wire: http_wire.Wire, url: str, token: Secret) -> None:
        self._wire, self._url, self._token = wire, url.rstrip("/"), token

    async def email(self, schedule: str) -> str | None:
        """Of whoever is on call there now, at the lowest level. None: nobody."""
        headers = {
            "Authorization": f"Token token={self._token.reveal()}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        }
        params = (("schedule_ids[]", schedule), ("include[]", "users"))
        reply = await self._wire.send(http_wire.Request("GET", f"{self._url}/oncalls", headers, params=params))
        if not isinstance(reply, http_wire.Reply) or reply.status != 200:
            after_s = reply.after_s if isinstance(reply, http_wire.Reply | NotDone) else None
            status = reply.status if isinstance(reply, http_wire.Reply) else 0
            raise Unanswered(f"PagerDuty: {status or 'no answer'}", after_s)
        try:
            entries = msgspec.json.decode(reply.body or b"", type=dict[str, Any])["oncalls"]
            if not isinstance(entries, list):
                raise TypeError
            found = min(entries, key=lambda one: one.get("escalation_level") or 1, default=None)
            return str(found["user"].get("email") or "") or None if found else None
        except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
            raise Unanswered("PagerDuty: an answer that cannot be read", None) from None

    async def close(self) -> None:
        await self._wire.close()


class OnCall:
    """Its wire and its budgets are its own: looking somebody up never takes a page's turn."""

    def __init__(
        self,
        slack: slack_wire.Wire | None,
        schedules: Schedules | None,
        rotas: Callable[[str, datetime], str | None],
        *,
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slack, self._schedules, self._rotas = slack, schedules, rotas
        self._wait_s, self._clock = wait_s, clock
        self._buckets = Buckets(clock)
        self._known: dict[str, Known] = {}
        self._failed: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[str | None]] = {}
        self._groups: dict[str, str] | str = "nobody has asked yet"  # by handle; or why they are not known
        self._groups_until, self._listing = 0.0, asyncio.Lock()

    async def who(self, name: str) -> str | None:
        """U… or S…; None: nobody, or nobody knows. Never raises."""
        kind, _, value = name.partition(":")
        until = self._clock() + self._wait_s
        if kind == "rota":
            return _id(self._rotas(value, datetime.now(UTC)))
        if kind == "group":
            return await self._remembered(name, lambda: self._group(value), until)
        if kind == "pagerduty":
            value = await self._remembered(name, lambda: self._duty(value), until) or ""
        elif kind != "email":
            return None
        return await self._remembered(f"email:{value}", lambda: self._person(value), until) if value else None

    async def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        if self._slack is not None:
            await self._slack.close()
        if self._schedules is not None:
            await self._schedules.close()

    async def _remembered(self, name: str, ask: Question, until: float) -> str | None:
        now, known = self._clock(), self._known.get(name)
        if known is not None and now - known.at < FRESH_S:
            return known.who
        if now >= self._failed.get(name, 0.0):
            task = self._asking.get(name) or self._begin(name, ask)
            await asyncio.wait([task], timeout=max(0.0, until - self._clock()))
            known = self._known.get(name)
        return known.who if known is not None and now - known.at < STALE_S else None

    def _begin(self, name: str, ask: Question) -> asyncio.Task[str | None]:
        """One question at a time for each name, however many pages want to know."""
        task = self._asking[name] = asyncio.create_task(ask(), name=f"on call {name}")
        task.add_done_callback(lambda done: self._answered(name, done))
        return task

    def _answered(self, name: str, task: asyncio.Task[str | None]) -> None:
        del self._asking[name]
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            if isinstance(error, Unanswered):
                log.warning("who is on call (%s) is not known: %s", name.partition(":")[0], error.args[0])
            elif error is not None:  # a bug of ours is no reason to keep a page back
                log.error("who is on call (%s) is not known: %s", name.partition(":")[0], type(error).__name__)
            self._failed = {one: at for one, at in self._failed.items() if at > self._clock()}
            self._failed[name] = self._clock() + AGAIN_S
            return
        self._failed.pop(name, None)
        if len(self._known) >= NAMES_MAX and name not in self._known:
            del self._known[min(self._known, key=lambda one: self._known[one].at)]
        self._known[name] = Known(task.result(), self._clock())

    async def _duty(self, schedule: str) -> str | None:
        if self._schedules is None:
            raise Unanswered("TOCSIN_PAGERDUTY_TOKEN is not set", None)
        self._take("pagerduty", SCHEDULES)
        try:
            return await self._schedules.email(schedule)
        except Unanswered as error:
            self._hold("pagerduty", SCHEDULES, error.args[1])
            raise

    async def _person(self, address: str) -> str | None:
        body = await self._asked(lambda slack: slack.users_lookupByEmail(email=address))
        user = body.get("user")
        return _id(user.get("id")) if isinstance(user, dict) and not user.get("deleted") else None

    async def _group(self, handle: str) -> str | None:
        """One answer names them all: forty owners with a group each are one question, not forty."""
        async with self._listing:
            if self._clock() >= self._groups_until:
                try:
                    self._groups, wait_s = await self._handles(), FRESH_S
                except Unanswered as error:
                    self._groups, wait_s = error.args[0], AGAIN_S
                self._groups_until = self._clock() + wait_s
            if isinstance(self._groups, str):
                raise Unanswered(self._groups, None)
            return self._groups.get(handle.lstrip("@"))

    async def _handles(self) -> dict[str, str]:
        body = await self._asked(lambda slack: slack.usergroups_list())
        groups = body.get("usergroups")
        found = [one for one in (groups if isinstance(groups, list) else ()) if isinstance(one, dict)]
        named = ((one.get("handle"), _id(one.get("id"))) for one in found if not one.get("date_delete"))
        return {handle: id_ for handle, id_ in named if isinstance(handle, str) and id_}

    async def _asked(self, method: Any) -> dict[str, Any]:
        """What Slack says; {} where it says that there is no such person."""
        if self._slack is None:
            raise Unanswered("TOCSIN_SLACK_TOKEN is not set", None)
        self._take("slack", SLACK)
        answer = await self._slack.call(method)
        if isinstance(answer, dict):
            return answer
        if answer.why in ("users_not_found", "user_not_found"):
            return {}
        self._hold("slack", SLACK, answer.after_s if isinstance(answer, NotDone) else None)
        raise Unanswered(f"Slack: {answer.why}", None)

    def _take(self, what: str, allowed: Allowed) -> None:
        if self._buckets.take(what, allowed) > 0:
            raise Unanswered(f"too many questions to {what} at once", None)

    def _hold(self, what: str, allowed: Allowed, seconds: float | None) -> None:
        if seconds:
            self._buckets.hold(what, allowed, min(seconds, WAIT_S_MAX))


def _id(found: Any) -> str | None:
    return found if isinstance(found, str) and _ID.match(found) else None
