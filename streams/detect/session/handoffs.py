"""Agents that hand a piece of work to each other in circles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import Ctx, DecisionMade, Finding, SessionStarted, Severity
from ...step import Order, Step
from ..detector import SessionDetector, releases_of
from ..evidence import excerpt
from ..shelf import hashed

NAMES_MAX = 32
NAME_CHARS_MAX = 128  # what was chosen is free text
SESSIONS_MAX = 256
ORPHANS_MAX = 32
ROUTES_MAX = 128
HANDOFF = "handoff"
DECIDED = NAMES_MAX * NAMES_MAX  # added to routes that were decided: often the same handover as a subagent's start


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cycles: Annotated[int, Meta(ge=1)] = 2  # how often the work has gone round


class Graph(Struct, frozen=True, array_like=True, gc=False):
    """Who handed over to whom how often. Agents are numbers: their place in `names`."""

    names: tuple[str, ...] = ()
    sessions: dict[bytes, int] = {}  # whose they are
    orphans: tuple[tuple[bytes, int], ...] = ()  # parent session, agent: the parent was not heard of yet
    routes: dict[int, int] = {}  # from * NAMES_MAX + to -> how often; what was decided and what was begun apart


class HandoffCycle(SessionDetector[Thresholds]):
    """Subject: the agents of the circle, wherever it was entered. An agent that starts itself goes in no circle.

    Counted, not followed: each route of the circle was taken `cycles` times. So order does not matter.
    """

    name, version, memory = "handoff.cycle", 1, Graph
    reads: tuple[type, ...] = (SessionStarted, DecisionMade)
    order: Order = "free"
    severity: Severity = "medium"
    runbook = (
        "Read why each agent gave the work away: usually each takes it for the other's.\n"
        "Say in their instructions whose it is, or take one of the two routes away.\n"
        "Stop the session if it is still going round."
    )
    limits = Thresholds
    of_root = True
    minimum = "2 rounds"
    false_alarms = "rule: no statistics"

    def step(self, memory: Graph | None, record: Any) -> Step[Graph]:
        before = memory or Graph()
        if type(record) is DecisionMade:
            data = record.data
            if data.kind != HANDOFF or data.chosen == data.ctx.agent.id:
                return Step(memory)
            after, pairs = _decided(before, data.ctx.agent.id[:NAME_CHARS_MAX], data.chosen[:NAME_CHARS_MAX])
        else:
            after, pairs = _started(before, record.data.ctx)
        if after is before:
            return Step(memory)
        said = [found for pair in pairs if (found := self._circle(after, pair, record)) is not None]
        return Step(after, tuple(said[:1]))

    def _circle(self, graph: Graph, pair: tuple[int, int], record: Any) -> Finding | None:
        ctx: Ctx = record.data.ctx
        cycles = self.limits_for(ctx.agent.id).cycles
        routes = _counted(graph.routes)
        often = {route: count for route, count in routes.items() if count >= cycles}
        path = _path(often, pair[1], pair[0]) if _route(*pair) in often else None
        if path is None:
            return None
        names = [graph.names[one] for one in path]
        start = names.index(min(names))
        circle = [*names[start:], *names[:start]]
        rounds = min(routes[_route(*two)] for two in zip(path, [*path[1:], path[0]], strict=True))
        return self.found(
            {"agent": circle[0], "circle": " → ".join(circle)},
            f"{circle[0]}: agents hand over in circles: {' → '.join([*circle, circle[0]])}",
            at=record.at,
            count=rounds,
            observed=f"{rounds} times round",
            expected=f"fewer than {cycles}",
            evidence=(excerpt(record, text=f"{graph.names[pair[0]]} → {graph.names[pair[1]]}"),),
            releases=releases_of(ctx) if ctx.agent.id == circle[0] else (),
        )


def _route(one: int, other: int) -> int:
    return one * NAMES_MAX + other


def _decided(graph: Graph, giver: str, taker: str) -> tuple[Graph, list[tuple[int, int]]]:
    names = _named(graph.names, giver, taker)
    if names is None:
        return graph, []
    pair = (names.index(giver), names.index(taker))
    routes = _taken(graph.routes, [_route(*pair) + DECIDED])
    return Graph(names, graph.sessions, graph.orphans, routes), [pair]


def _started(graph: Graph, ctx: Ctx) -> tuple[Graph, list[tuple[int, int]]]:
    """A session hands over from its parent's agent to its own; whoever comes before the parent waits for it."""
    agent = ctx.agent.id[:NAME_CHARS_MAX]
    session, names = hashed(ctx.session_id), _named(graph.names, agent)
    if names is None or session in graph.sessions:
        return graph, []
    me = names.index(agent)
    sessions = {**graph.sessions, session: me}
    if len(sessions) > SESSIONS_MAX:
        del sessions[next(iter(sessions))]
    pairs = [(me, child) for parent, child in graph.orphans if parent == session]
    orphans = tuple(one for one in graph.orphans if one[0] != session)
    above = ctx.parent.session_id if ctx.parent else None
    if ctx.session_id != ctx.root:
        parent = hashed(above or ctx.root)
        known = sessions.get(parent)
        if known is None:
            orphans = (*orphans, (parent, me))[-ORPHANS_MAX:]
        else:
            pairs.append((known, me))
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    return Graph(names, sessions, orphans, _taken(graph.routes, [_route(*pair) for pair in pairs])), pairs


def _named(names: tuple[str, ...], *more: str) -> tuple[str, ...] | None:
    """None: there are too many agents to be told apart."""
    found = (*names, *(name for name in dict.fromkeys(more) if name not in names))
    return found if len(found) <= NAMES_MAX else None


def _counted(routes: dict[int, int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for route, count in routes.items():
        pair = route % DECIDED
        found[pair] = max(found.get(pair, 0), count)
    return found


def _taken(routes: dict[int, int], more: list[int]) -> dict[int, int]:
    after = dict(routes)
    for route in more:
        if route in after or len(after) < ROUTES_MAX:
            after[route] = after.get(route, 0) + 1
    return after


def _path(routes: dict[int, int], start: int, end: int) -> list[int] | None:
    """The shortest way from `start` to `end`; of several the one through the agents heard of first."""
    ways: dict[int, list[int]] = {start: [start]}
    waiting = [start]
    while waiting:
        here = waiting.pop(0)
        if here == end:
            return ways[here]
        for there in _beyond(routes, here):
            if there not in ways:
                ways[there] = [*ways[here], there]
                waiting.append(there)
    return None


def _beyond(routes: dict[int, int], here: int) -> Iterator[int]:
    return (route % NAMES_MAX for route in sorted(routes) if route // NAMES_MAX == here)
