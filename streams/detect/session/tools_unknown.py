"""Calls to tools that the session was never given."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import Excerpt, Finding, SessionStarted, Severity, Tick, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector
from .tables import SHORT, has, short
from .waiting import Held, due, held, holding, parted, releases

LISTS_MAX = 4  # a session that starts anew may have other tools
SHOWN_MAX = 3


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    calls_min: Annotated[int, Meta(ge=1, le=10**6)] = 2


class Tools(Struct, frozen=True, array_like=True, gc=False):
    begun: bool = False  # a start has been seen, or is not waited for any longer
    lists: tuple[tuple[float, bytes], ...] = ()  # since when, and short hashes of what was declared then
    count: int = 0
    last: tuple[Excerpt, ...] = ()  # the unknown calls
    waiting: tuple[Held, ...] = ()


NONE, UNDECLARED = Tools(), Tools(begun=True)


class ToolUnknown(SessionDetector[Thresholds]):
    """Only where the session's start declares its tools; a list with a `*` is no list of names. Subject: agent.

    A call before a late start is judged once the events of its time are in.
    """

    name, version, memory = "tool.unknown", 1, Tools
    reads: tuple[type, ...] = (SessionStarted, ToolCalled)
    order: Order = "free"
    severity: Severity = "medium"
    runbook = (
        "Compare the tool's name with the session's list: a model that invents tools, or a list that is out of date?\n"
        "See what the call was answered: an invented tool should be refused, not guessed.\n"
        "Fix the prompt's description of the tools, or declare the tool."
    )
    limits = Thresholds
    false_alarms = (
        "rule: no statistics; a name counts as known by chance once in 4,000,000,000 / the length of the list"
    )

    def step(self, memory: Tools | None, record: Any) -> Step[Tools]:
        if type(record) is ToolCalled:
            if memory is None or not memory.begun:
                return self._called(memory, record)
            lists = memory.lists
            at = lists[0][1].find(short(record.data.tool.name)) if len(lists) == 1 else -1
            if (at >= 0 and at % SHORT == 0) or not lists or _known(lists, record):  # the first: as nearly always
                return Step(memory, (), due(memory.waiting)) if memory.waiting else Step(memory)
            return self._called(memory, record)
        if isinstance(record, Tick):
            return self._judged(memory, record.at.timestamp())
        known = memory or NONE
        after = _declared(known, record)
        return Step(memory if after is known else after, (), due(after.waiting))

    def _called(self, memory: Tools | None, record: ToolCalled) -> Step[Tools]:
        known, data = memory or NONE, record.data
        if data.by != "agent":
            return Step(memory, (), due(known.waiting))
        words = (data.tool.name, data.tool.server or "")
        call = held(record, words, status=data.status.value, tool=data.tool.name)
        waiting = holding(known.waiting, call)
        if waiting is known.waiting:
            return Step(memory, (), due(waiting))
        return Step(Tools(known.begun, known.lists, known.count, known.last, waiting), (), due(waiting))

    def _judged(self, memory: Tools | None, at_s: float) -> Step[Tools]:
        if memory is None:
            return Step(None)
        ripe, waiting = parted(memory.waiting, at_s)
        if not ripe:
            return Step(memory, (), due(waiting))
        unknown = [call for call in ripe if not _listed(memory.lists, call.words[0], call.words[1], call.due_s)]
        count, last = memory.count + len(unknown), memory.last
        last = (*last, *(call.evidence for call in unknown))[-SHOWN_MAX:]
        enough = bool(unknown) and count >= self.limits_for(unknown[-1].agent).calls_min
        said = (self._finding(unknown[-1], count, last),) if enough else ()
        return Step(Tools(True, memory.lists, count, last, waiting), said, due(waiting))

    def _finding(self, call: Held, count: int, last: tuple[Excerpt, ...]) -> Finding:
        names = ", ".join(dict.fromkeys(one.tool or "" for one in last))
        return self.found(
            {"agent": call.agent},
            f"{call.agent}: calls tools that it was not given: {names}",
            at=call.evidence.at,
            count=count,
            observed=f"{count} calls of tools outside the session's list, such as {names}",
            expected=f"fewer than {self.limits_for(call.agent).calls_min}",
            evidence=last,
            releases=releases(call),
        )


def _declared(known: Tools, record: SessionStarted) -> Tools:
    names, at_s = record.data.tools, record.time.timestamp()
    if not names or any("*" in name for name in names):
        return known if known.begun else Tools(True, known.lists, known.count, known.last, known.waiting)
    tools = b"".join(sorted({short(name) for name in names}))
    lists = tuple(sorted({*known.lists, (at_s, tools)}))[:LISTS_MAX]
    if known.begun and lists == known.lists:
        return known
    return Tools(True, lists, known.count, known.last, known.waiting)


def _known(lists: tuple[tuple[float, bytes], ...], record: ToolCalled) -> bool:
    tool = record.data.tool
    return _listed(lists, tool.name, tool.server or "", record.time.timestamp())


def _listed(lists: tuple[tuple[float, bytes], ...], name: str, server: str, at_s: float) -> bool:
    """What is not declared at the time of the call is not known to be wrong."""
    declared = b"".join(tools for from_s, tools in lists if from_s <= at_s)
    return not declared or any(has(declared, short(one)) for one in spellings(name, server))


def spellings(name: str, server: str) -> tuple[str, ...]:
    """What a tool of an MCP server is called by those who list it."""
    return (name, f"{server}/{name}", f"{server}.{name}", f"mcp__{server}__{name}") if server else (name,)
