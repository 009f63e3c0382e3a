"""Tickets that bear our mark and were never confirmed: what a sweep looks at. Without our mark nothing is touched."""

from __future__ import annotations

from typing import Any

from .jira_search import gone, number
from .jira_tickets import DEPLOYMENT_MAX, PROPERTY, UNCONFIRMED, Tickets
from .jira_wire import Call, Reply, Wire
from .protocol import Blind, Stray

STRAYS_MAX = 50


class Strays:
    def __init__(self, wire: Wire) -> None:
        self._wire, self._tickets = wire, Tickets(wire)

    async def found(self, deployment: str, age_minutes: int) -> list[Stray] | Blind:
        """The oldest first. The index may show nothing, or too much: each one is read by its key before it counts."""
        jql = (
            f'labels = "{UNCONFIRMED}" AND statusCategory != Done AND created <= "-{age_minutes}m" ORDER BY created ASC'
        )
        params = {"jql": jql, "maxResults": str(STRAYS_MAX), "fields": "labels"}
        answer = await self._wire.call(Call("GET", "search/jql" if self._wire.cloud else "search", params=params))
        if not isinstance(answer, Reply):
            return Blind(f"the search fails: {answer.why}")
        try:
            keys = [str(one["key"]) for one in answer.body["issues"]]
        except (LookupError, TypeError):
            return Blind("the search answers without tickets")
        strays = []
        for key in keys:
            ticket = await self._tickets.read(key, properties=PROPERTY)
            if isinstance(ticket, Reply):
                strays += _ours(ticket.body, deployment)
            elif not gone(ticket):
                return Blind(f"{key} cannot be read: {ticket.why}")
        return sorted(strays, key=lambda one: (one.key.rpartition("-")[0], number(one.key)))

    async def same(self, stray: Stray, recorded: str) -> bool | Blind:
        """Whether the recorded key leads to this very ticket: it may have been moved since. Blind: a person decides."""
        there = await self._tickets.read(recorded)
        if isinstance(there, Reply):
            return str(there.body.get("id")) == stray.id
        return Blind(f"{recorded} {'is gone' if gone(there) else f'cannot be read: {there.why}'}")


def _ours(ticket: dict[str, Any], deployment: str) -> list[Stray]:
    mark = (ticket.get("properties") or {}).get(PROPERTY)
    if not isinstance(mark, dict) or mark.get("deployment") != deployment[:DEPLOYMENT_MAX]:
        return []
    if UNCONFIRMED not in (ticket["fields"].get("labels") or ()):
        return []  # confirmed meanwhile: the index does not know it yet
    named = mark.get("incident"), mark.get("obligation")
    if not all(isinstance(one, str) and one for one in named):
        return []
    return [Stray(str(ticket.get("key")), str(ticket.get("id")), str(named[0]), str(named[1]))]
