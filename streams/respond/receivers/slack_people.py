"""Whom a page mentions: people and groups by id, address or handle, asked for once in a while and never insisted on."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .slack_wire import Wire

ID = re.compile(r"[UWS][A-Z0-9]{2,30}\Z")
KEPT_S = 600.0
MISSING_KEPT_S = 60.0
ASKED_S_MAX = 3.0  # a page waits no longer than that for a name
LISTS_MAX = 5
LIST_SIZE = 1000


class OnCall(Protocol):
    async def who(self, name: str) -> str | None:
        """U… or S…; None: nobody, or it could not be asked."""
        ...


class Whom(NamedTuple):
    """`remark`: what the page says when it is not whom it should be."""

    mention: str
    remark: str = ""


class People:
    def __init__(self, wire: Wire, oncall: OnCall | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._wire, self._oncall, self._clock = wire, oncall, clock
        self._known: dict[str, tuple[str, float]] = {}

    async def whom(self, oncall: str, otherwise: str) -> Whom:
        """Who is on call, else who else is to hear of it. A look that fails never fails a page."""
        if oncall:
            found = await self._on_duty(oncall)
            if found:
                return Whom(found)
        mention = await self.known(otherwise) if otherwise else ""
        remarks = []
        if oncall:
            remarks.append("on call could not be asked")
        if otherwise and not mention:
            remarks.append(f"{otherwise[:80]} is not known in Slack, nobody is mentioned")
        return Whom(mention, "; ".join(remarks))

    async def known(self, name: str) -> str:
        """The id of a person or a group; empty: there is none, or it could not be asked."""
        name = name.strip()
        if ID.match(name):
            return name
        found, until = self._known.get(name.lower(), ("", 0.0))
        if self._clock() >= until:
            found = await self._within(self._asked(name)) or ""
            self._known[name.lower()] = (found, self._clock() + (KEPT_S if found else MISSING_KEPT_S))
        return found

    async def _on_duty(self, name: str) -> str:
        if self._oncall is None:
            return ""
        found = await self._within(self._oncall.who(name))
        return found if found and ID.match(found) else ""

    async def _within(self, question: Any) -> str | None:
        try:
            async with asyncio.timeout(ASKED_S_MAX):
                found: str | None = await question
        except Exception:  # whoever is asked here may fail in any way: the page goes out all the same
            return None
        return found

    async def _asked(self, name: str) -> str | None:
        if "@" in name.lstrip("@"):
            answer = await self._wire.call(lambda slack: slack.users_lookupByEmail(email=name))
            return _text(answer.get("user"), "id") if isinstance(answer, dict) else None
        handle = name.lstrip("@").lower()
        answer = await self._wire.call(lambda slack: slack.usergroups_list())
        groups = answer.get("usergroups") if isinstance(answer, dict) else None
        for group in groups if isinstance(groups, list) else ():
            if _text(group, "handle").lower() == handle:
                return _text(group, "id")
        return await self._person(handle)

    async def _person(self, handle: str) -> str | None:
        cursor = ""
        for _ in range(LISTS_MAX):
            given: dict[str, Any] = {"limit": LIST_SIZE, **({"cursor": cursor} if cursor else {})}
            answer = await self._wire.call(lambda slack, given=given: slack.users_list(**given))  # type: ignore[misc]
            if not isinstance(answer, dict):
                return None
            for person in answer.get("members") or ():
                if _text(person, "name").lower() == handle and not person.get("deleted"):
                    return _text(person, "id")
            cursor = _text(answer.get("response_metadata"), "next_cursor")
            if not cursor:
                return None
        return None


def _text(found: Any, name: str) -> str:
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""
