"""What the sandbox holds against what was put in: lost, doubled, repaired, and whether people's work is as they left it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct, field

from benchmarks.killing.outside import State
from benchmarks.killing.people import PROPERTY, UNCONFIRMED
from benchmarks.killing.world import World
from streams.sandbox.jira.catalogue import DONE
from streams.sandbox.jira.ticket import Ticket


class Judged(Struct, kw_only=True):
    incidents: int = 0
    lost_tickets: int = 0
    lost_pages: int = 0
    doubled_ever: int = 0  # incidents that had two tickets at any time
    doubled_open: int = 0  # and still have two open ones
    doubled_pages: int = 0
    repairs: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)  # everything else that is not as it must be

    @property
    def clean(self) -> bool:
        return not (self.lost_tickets or self.lost_pages or self.doubled_open or self.complaints)

    def percentile(self, share: float) -> float:
        return percentile(self.repairs, share)


def percentile(values: Iterable[float], share: float) -> float:
    order = sorted(values)
    return round(order[min(len(order) - 1, int(share * len(order)))], 2) if order else 0.0


def counted(state: State, incidents: list[str]) -> Judged:
    """From the sandbox alone, by our own marks."""
    tickets, pages = by_incident(state), by_page(state)
    judged = Judged(incidents=len(incidents))
    for name in incidents:
        mine = tickets.get(name, [])
        standing = [one for one in mine if one.status != DONE]
        posts = pages.get(opaque(f"{name}:page:1"), 0)
        judged.lost_tickets += not standing
        judged.lost_pages += posts == 0
        judged.doubled_ever += len(mine) > 1
        judged.doubled_open += len(standing) > 1
        judged.doubled_pages += posts > 1
        judged.repairs += doubles_repaired(mine)
        if len(standing) != 1:
            judged.complaints.append(f"{name}: {[(one.key, one.status) for one in mine]} tickets")
        if not posts:
            judged.complaints.append(f"{name}: no page")
        judged.complaints += [f"{one.key} was never confirmed" for one in standing if UNCONFIRMED in one.labels]
    judged.complaints += untouched(state)
    return judged


def by_incident(state: State) -> dict[str, list[Ticket]]:
    found: dict[str, list[Ticket]] = defaultdict(list)
    for one in state.tickets:
        mark = one.properties.get(PROPERTY)
        if mark:
            found[mark["incident"]].append(one)
    return {name: sorted(mine, key=lambda one: one.number) for name, mine in found.items()}


def by_page(state: State) -> dict[str, int]:
    """Messages per obligation, as the metadata names it."""
    found: dict[str, int] = defaultdict(int)
    for _, message in state.messages:
        payload = (message.metadata or {}).get("event_payload") or {}
        if "obligation" in payload:
            found[payload["obligation"]] += 1
    return found


def opaque(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def doubles_repaired(tickets: list[Ticket]) -> list[float]:
    """From the moment there were two until only one was open."""
    if len(tickets) < 2:
        return []
    began = sorted(_at(one.created) for one in tickets)[1]
    closed = [
        _at(change.at) for one in tickets for change in one.history for item in change.items
        if item.field == "status" and item.new == "Done"
    ]  # fmt: skip
    return [max(closed) - began] if len(closed) >= len(tickets) - 1 else []


def untouched(state: State) -> list[str]:
    """What people did is as they left it."""
    complaints = []
    tickets = {one.key: one for one in state.tickets}
    for key, left in state.promised.theirs.items():
        now = tickets.get(key)
        if now is None or msgspec.msgpack.encode(now) != left:
            complaints.append(f"{key}, somebody's own ticket, was touched")
    for edit in state.promised.edits:
        now = tickets.get(edit.key)
        there = now is not None and (
            any(comment.id == edit.value for comment in now.comments)
            if edit.name == "comment"
            else getattr(now, edit.name) == edit.value
        )
        if not there:
            complaints.append(f"{edit.key}: what a person made of its {edit.name} is gone")
    return complaints


async def compared(world: World, state: State, judged: Judged) -> None:
    """The book against the sandbox: keys, findings, what Kafka was told, and how long unanswered effects lay about."""
    recorded = dict(await world.rows("SELECT id, ticket FROM incidents"))
    standing = {
        name: [one.key for one in mine if one.status != DONE] for name, mine in by_incident(state).items()
    }  # fmt: skip
    for name in world.incidents:
        if standing.get(name) != [recorded.get(name)]:
            judged.complaints.append(f"{name}: recorded {recorded.get(name)}, open {standing.get(name)}")
    judged.complaints += [f"{name} is nobody's incident" for name in standing if name not in recorded]
    counts = dict(await world.rows("SELECT fingerprint, (body->>'findings')::int FROM incidents"))
    for fingerprint, put in world.told.items():
        if counts.get(fingerprint) != put:
            judged.complaints.append(f"{fingerprint}: {put} findings put in, {counts.get(fingerprint)} counted")
    judged.repairs += await _unanswered(world, state)


async def story(world: World, incident: str) -> list[str]:
    """What the book knows of an incident, for whoever has to find out."""
    rows = await world.rows(
        "SELECT o.id, o.state, o.reference, o.why, o.audits, a.attempt, a.step, a.answer, a.why, a.started, a.answered"
        " FROM obligations o LEFT JOIN attempts a ON a.obligation = o.id WHERE o.incident = %s ORDER BY o.seq, a.id",
        incident,
    )
    return [" | ".join(str(cell) for cell in row) for row in rows]


async def _unanswered(world: World, state: State) -> list[float]:
    """Effects whose answer nobody heard: from the effect to the row that knows of it."""
    adopted = await world.rows(
        "SELECT DISTINCT o.id, o.reference, extract(epoch FROM o.settled_at)::float8 FROM obligations o"
        " JOIN attempts a ON a.obligation = o.id"
        " WHERE a.step = 'ask' AND a.answer = 'done' AND o.kind IN ('ticket', 'page') AND o.state = 'done'"
    )
    created = {one.key: _at(one.created) for one in state.tickets}
    created |= {f"{channel}/{message.ts}": float(message.ts) for channel, message in state.messages}
    return [float(settled) - created[reference] for _, reference, settled in adopted if reference in created]


def _at(written: str) -> float:
    return datetime.strptime(written, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()


def delays(world: World, state: State) -> dict[str, Any]:
    """From a finding being put in to its message and its ticket."""
    tickets = by_incident(state)
    posted = {
        (message.metadata or {}).get("event_payload", {}).get("obligation"): float(message.ts)
        for _, message in reversed(state.messages)
    }
    to_ticket, to_page = [], []
    for fingerprint, at in world.put.items():
        name = f"{fingerprint}#1"
        if mine := tickets.get(name):
            to_ticket.append(_at(mine[0].created) - at)
        if (ts := posted.get(opaque(f"{name}:page:1"))) is not None:
            to_page.append(ts - at)
    return {
        "page_s_p50": percentile(to_page, 0.5),
        "page_s_p99": percentile(to_page, 0.99),
        "ticket_s_p50": percentile(to_ticket, 0.5),
        "ticket_s_p99": percentile(to_ticket, 0.99),
    }
