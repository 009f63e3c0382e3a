"""Whom a page mentions: who is on call, or a person or group by id, address or handle; never insisted on."""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple, Protocol

ID = re.compile(r"[UWS][A-Z0-9]{2,30}\Z")
ASKED_S_MAX = 3.0  # a page waits no longer than that for a name
NAME_MAX = 80


class OnCall(Protocol):
    async def who(self, name: str) -> str | None:
        """U… or S…; None: nobody, or it could not be asked. Of `rota:`, `pagerduty:`, `group:` or `email:`."""
        ...


class Whom(NamedTuple):
    """`remark`: what the page says when it is not whom it should be."""

    mention: str
    remark: str = ""


class People:
    def __init__(self, oncall: OnCall | None = None) -> None:
        self._oncall = oncall

    async def whom(self, oncall: str, otherwise: str) -> Whom:
        """Who is on call, else who else is to hear of it. A look that fails never fails a page."""
        found = await self._asked(oncall) if oncall else ""
        if found:
            return Whom(found)
        mention = await self.known(otherwise) if otherwise.strip() else ""
        remarks = ["on call could not be asked"] if oncall else []
        if otherwise.strip() and not mention:
            remarks.append(f"{otherwise[:NAME_MAX]} is not known in Slack, so nobody is mentioned")
        return Whom(mention, "; ".join(remarks))

    async def known(self, name: str) -> str:
        """The id of a person or a group; empty: there is none, or it could not be asked."""
        name = name.strip()
        if ID.match(name):
            return name
        return await self._asked(f"email:{name}" if "@" in name.lstrip("@") else f"group:{name.lstrip('@')}")

    async def _asked(self, name: str) -> str:
        if self._oncall is None:
            return ""
        try:
            async with asyncio.timeout(ASKED_S_MAX):
                found = await self._oncall.who(name)
        except Exception:  # whoever is asked here may fail in any way: the page goes out all the same
            return ""
        return found if found and ID.match(found) else ""
