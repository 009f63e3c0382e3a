"""Finding a ticket whose creation was never answered: an index that lags, and is blind without saying so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ...records import Refused
from ..messages import TicketDoc
from .jira_tickets import DEPLOYMENT_MAX, PROPERTY, Tickets, label
from .jira_wire import Call, Failure, Reply, Wire
from .protocol import Absent, Blind, Doubt

LABELLED_MAX = 50
PROBE = 100  # keys in one look past the newest known one
PROBES_MAX = 5
ONE_BY_ONE = 20  # where there is no bulk read
MISSES_MAX = 5  # in a row, there: gaps are normal


class Search:
    """Not found is proof only where a ticket that is surely there was found by the same search.

    The control is the newest recorded ticket of the project, or any ticket the search shows in it. An empty project
    has neither: then nothing is created before `empty_quiet_s` have passed since the attempt (late commits and the
    index have had their time) and Jira itself says that we may see the project. Either way, the keys handed out
    after the control are read one by one, by key and not through the index, before absence is believed.
    """

    def __init__(self, wire: Wire, empty_quiet_s: float) -> None:
        self._wire, self._tickets, self._empty_quiet_s = wire, Tickets(wire), empty_quiet_s

    async def tickets(self, doc: TicketDoc, doubt: Doubt) -> list[str] | Absent | Blind:
        """The keys of this incident's tickets, or why there are none."""
        control = await self._control(doc.project, doubt)
        if isinstance(control, Blind):
            return control
        if control is None and (blind := await self._empty(doc.project, doubt)):
            return blind
        found = await self.labelled(doc, control) if control else []
        if isinstance(found, Blind) or found:
            return found
        # A recorded ticket is older than the attempt; one that the search came up with may be newer.
        after = number(doubt.known.reference) if doubt.known else max(0, number(control or "") - PROBE)
        probed = await self._probe(doc, after)
        return probed or Absent("neither the label nor the keys since then")

    async def _control(self, project: str, doubt: Doubt) -> str | Blind | None:
        """A key that the search has to show; None: there seems to be no ticket at all."""
        if doubt.known is None:
            return await self._any(project)
        there = await self._tickets.read(doubt.known.reference)
        if isinstance(there, Reply):
            return str(there.body.get("key"))  # it may have been moved since
        if gone(there):
            return await self._any(project)
        return Blind(f"{doubt.known.reference} cannot be read: {there.why}")

    async def labelled(self, doc: TicketDoc, control: str) -> list[str] | Blind:
        """By label, with a key that must be in the answer; each checked by its own property."""
        found = await self._keys(f'labels = "{label(doc.seed)}" OR key = {_quoted(control)}', LABELLED_MAX)
        if isinstance(found, Blind):
            return found
        if control not in found:
            return Blind(f"the search does not show {control}, which is there: permission or index")
        ours = []
        for key in found:
            mine = await self._ours(key, doc)
            if isinstance(mine, Blind):
                return mine
            if mine:
                ours.append(key)
        return ours

    async def _ours(self, key: str, doc: TicketDoc) -> bool | Blind:
        """Whether it bears our property. A copy that a person made has the label, but not the property."""
        ticket = await self._tickets.read(key, properties=PROPERTY)
        if isinstance(ticket, Reply):
            return _mine(ticket.body, doc)
        # Found by our label, and not there: the index lags behind a deletion, or we are half locked out.
        return Blind(f"the search shows {key}, which cannot be read: {ticket.why}")

    async def _any(self, project: str) -> str | Blind | None:
        """A ticket that the search shows in the project; None: it shows none."""
        found = await self._keys(f"project = {_quoted(project)} ORDER BY created DESC", 1)
        return found if isinstance(found, Blind) else next(iter(found), None)

    async def _empty(self, project: str, doubt: Doubt) -> Blind | None:
        if (datetime.now(UTC) - doubt.since).total_seconds() < self._empty_quiet_s:
            return Blind(f"no ticket of {project} to check the search with; waiting")
        params = {"projectKey": project, "permissions": "BROWSE_PROJECTS"}
        answer = await self._wire.call(Call("GET", "mypermissions", params=params))
        if not isinstance(answer, Reply):
            return Blind(f"permissions cannot be read: {answer.why}")
        try:
            allowed = answer.body["permissions"]["BROWSE_PROJECTS"]["havePermission"] is True
        except (LookupError, TypeError):
            allowed = False
        return None if allowed else Blind(f"no permission to browse {project}")

    async def _keys(self, jql: str, limit: int) -> list[str] | Blind:
        path = "search/jql" if self._wire.cloud else "search"
        params = {"jql": jql, "maxResults": str(limit), "fields": "labels"}
        answer = await self._wire.call(Call("GET", path, params=params))
        if not isinstance(answer, Reply):
            return Blind(f"the search fails: {answer.why}")
        try:
            return [str(one["key"]) for one in answer.body["issues"]]
        except (LookupError, TypeError):
            return Blind("the search answers without tickets")

    async def _probe(self, doc: TicketDoc, after: int) -> list[str] | Blind:
        for first in range(after + 1, after + 1 + PROBE * PROBES_MAX, PROBE):
            keys = [f"{doc.project}-{n}" for n in range(first, first + PROBE)]
            there = await (self._bulk(keys) if self._wire.cloud else self._each(keys[:ONE_BY_ONE]))
            if isinstance(there, Blind):
                return there
            ours = [str(one.get("key")) for one in there if _mine(one, doc)]
            if ours or not there or not self._wire.cloud:
                return ours
        return []

    async def _bulk(self, keys: list[str]) -> list[dict[str, Any]] | Blind:
        """Those that exist and are visible; the others are left out without a word."""
        body = {"issueIdsOrKeys": keys, "fields": ["labels"], "properties": [PROPERTY]}
        answer = await self._wire.call(Call("POST", "issue/bulkfetch", body))
        if not isinstance(answer, Reply):
            return Blind(f"tickets cannot be read: {answer.why}")
        try:
            return list(answer.body["issues"])
        except (LookupError, TypeError):
            return Blind("tickets cannot be read: no list")

    async def _each(self, keys: list[str]) -> list[dict[str, Any]] | Blind:
        found: list[dict[str, Any]] = []
        misses = 0
        for key in keys:
            ticket = await self._tickets.read(key, properties=PROPERTY)
            if isinstance(ticket, Reply):
                found.append(ticket.body)
                misses = 0
            elif not gone(ticket):
                return Blind(f"{key} cannot be read: {ticket.why}")
            else:
                misses += 1
            if misses >= MISSES_MAX:
                break
        return found


def number(key: str) -> int:
    """Keys of a project are handed out in sequence."""
    tail = key.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0


def gone(failure: Failure) -> bool:
    """Deleted, or hidden from us."""
    return isinstance(failure, Refused) and failure.why.startswith("404")


def _mine(ticket: dict[str, Any], doc: TicketDoc) -> bool:
    mark = (ticket.get("properties") or {}).get(PROPERTY)
    wanted = (doc.incident, doc.deployment[:DEPLOYMENT_MAX])
    return isinstance(mark, dict) and (mark.get("incident"), mark.get("deployment")) == wanted


def _quoted(word: str) -> str:
    """A JQL string: project keys and ticket keys come from settings and from Jira, and stay words."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
