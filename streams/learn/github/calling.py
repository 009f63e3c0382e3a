"""Tells GitHub when a gate's answer changes: remember the intent, say it, remember the answer; ask about what was lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import msgspec
import psycopg
from prometheus_client import CollectorRegistry, Counter
from psycopg.types.json import Jsonb

from ...database import Connection
from ...records import (
    Answer,
    Bypassed,
    Callback,
    Done,
    GateDecision,
    GateInputs,
    GateValues,
    Hook,
    NotDone,
    Refused,
    Told,
    Unknown,
)
from ..gates.ruling import UsedAlready, answered
from ..recording import record_decision

log = logging.getLogger(__name__)

HOOKS_MAX = 100
TURN_S = 1.0
LOOK_S = 60.0  # how often it is asked whether a run went on without us
PAUSE_S_MAX = 300.0
DUE = """
SELECT body, told, attempt, doing, failures, looked_at FROM hooks
WHERE ended_at IS NULL AND next_at <= %(now)s AND (doing IS NULL OR ask_after <= %(now)s) AND id > %(after)s
ORDER BY id LIMIT %(limit)s
"""
INTENT = """
UPDATE hooks SET doing = %s, attempt = attempt + 1, ask_after = %s WHERE id = %s AND attempt = %s AND ended_at IS NULL
"""
ANSWERED = """
UPDATE hooks SET told = %(told)s, doing = %(doing)s, failures = %(failures)s, why = %(why)s, next_at = %(next)s,
    looked_at = COALESCE(%(looked)s, looked_at), ended_at = %(ended)s
WHERE id = %(id)s AND attempt = %(attempt)s AND ended_at IS NULL
"""


class Outside(Protocol):
    async def say(self, hook: Hook, said: Callback) -> Answer: ...

    async def created(self, hook: Hook, decision: str) -> str | NotDone | None: ...

    async def gone(self, hook: Hook) -> Any: ...


class Asked(NamedTuple):
    decision: GateDecision
    values: GateValues
    inputs: GateInputs


class Rules(NamedTuple):
    """What is decided elsewhere: what the gate answers now, what to say of it, whether that is all."""

    ask: Callable[[Hook, datetime], Asked | None]
    callback: Callable[[Hook, Told, GateDecision, datetime], Callback | None]
    over: Callable[[Hook, Told, datetime], bool]
    bypassed: Callable[[Connection, Bypassed], Awaitable[bool]]


class Row(NamedTuple):
    hook: Hook
    told: Told
    attempt: int
    doing: Callback | None
    failures: int
    looked_at: datetime | None


def nothing(_step: str) -> None:
    pass


def counter(registry: CollectorRegistry) -> Counter:
    return Counter("tocsin_github_callbacks", "What was said to GitHub", ("what", "answer"), registry=registry)


class Calling:
    """One turn at a time, by whoever holds the lock of learn."""

    def __init__(
        self,
        outside: Outside,
        rules: Rules,
        topic: str,
        said: Counter,
        *,
        ask_after_s: float = 45.0,
        reached: Callable[[str], None] = nothing,
    ) -> None:
        self._outside, self._rules, self._topic, self._reached = outside, rules, topic, reached
        self._ask_after = timedelta(seconds=ask_after_s)
        self._after = ""  # in turns: of many that wait none is forgotten
        self._said = said

    async def turn(self, conn: Connection) -> int:
        """How many things were said. An outside that cannot be reached is left alone until the next turn."""
        said = 0
        rows = await _due(conn, datetime.now(UTC), self._after)
        self._after = rows[-1].hook.id if len(rows) == HOOKS_MAX else ""
        for row in rows:
            answer = await self._careful(conn, row)
            said += isinstance(answer, Done)
            if isinstance(answer, NotDone | Unknown):
                break
        return said

    async def for_ever(self, conn: Connection, progress: Callable[[], None]) -> None:
        await forget(conn)
        while True:
            await self.turn(conn)
            progress()
            await asyncio.sleep(TURN_S)

    async def _careful(self, conn: Connection, row: Row) -> Answer | None:
        """A bug that one of them meets keeps nobody else waiting."""
        try:
            return await self._one(conn, row)
        except (psycopg.Error, OSError):
            raise
        except Exception:
            log.exception("what waits at GitHub cannot be answered: %s", row.hook.id)
            later = datetime.now(UTC) + timedelta(seconds=PAUSE_S_MAX)
            await self._written(conn, row, row.told, why="a bug: see the log", next_at=later, kept=True)
            return None

    async def _one(self, conn: Connection, row: Row) -> Answer | None:
        if row.doing is not None:
            settled = await self._settled(row, row.doing)
            if settled is not None:
                return await self._answered(conn, row, row.doing, settled)
        now = datetime.now(UTC)
        asked = self._rules.ask(row.hook, now)
        said = asked and self._rules.callback(row.hook, row.told, asked.decision, now)
        if asked is None or said is None:
            return await self._waited(conn, row, now)
        if not await self._intended(conn, row, said, asked):
            return None
        self._reached("hook:intended")
        answer = await self._outside.say(row.hook, said)
        self._reached("hook:said")
        if isinstance(answer, Refused) and said.what in ("approve", "reject", "note"):
            return await self._refused(conn, row._replace(attempt=row.attempt + 1), said, answer)
        return await self._answered(conn, row._replace(attempt=row.attempt + 1), said, answer)

    async def _intended(self, conn: Connection, row: Row, said: Callback, asked: Asked) -> bool:
        """What is said can be looked up, and who dies now is asked about. False: somebody else was quicker."""
        given = (Jsonb(msgspec.to_builtins(said)), datetime.now(UTC) + self._ask_after, row.hook.id, row.attempt)
        try:
            async with conn.transaction():
                if (await conn.execute(INTENT, given)).rowcount != 1:
                    return False
                await record_decision(conn, self._topic, asked.decision, asked.values, asked.inputs)
                await answered(conn, asked.decision)
        except UsedAlready:
            return False
        return True

    async def _settled(self, row: Row, doing: Callback) -> Done | NotDone | None:
        """What is known of an attempt whose answer nobody heard; None: it may be repeated."""
        match doing.what:
            case "note":
                return Done("")  # a note too few is no harm, and there are only ten
            case "create":
                found = await self._outside.created(row.hook, doing.told.decision)
                return found if found is None or isinstance(found, NotDone) else Done(found)
            case "approve" | "reject":
                gone = await self._outside.gone(row.hook)
                return gone if isinstance(gone, NotDone) else None if gone.waits else Done("")
        return None

    async def _refused(self, conn: Connection, row: Row, said: Callback, answer: Refused) -> Answer:
        """A review of what does not wait any more is refused: somebody else ended it, or our own lost attempt did."""
        gone = await self._outside.gone(row.hook)
        if isinstance(gone, NotDone) or gone.waits:
            return await self._answered(conn, row, said, answer)
        if row.doing is not None and row.doing.what == said.what:
            return await self._answered(conn, row, said, Done(""))
        await self._ended(conn, row, gone, said.told)
        return answer

    async def _waited(self, conn: Connection, row: Row, now: datetime) -> Answer | None:
        """Nothing to say. A run may have gone on all the same: administrators may do that."""
        due = row.looked_at is None or now - row.looked_at >= timedelta(seconds=LOOK_S)
        if row.hook.kind == "rule" and row.told.state == "hold" and due:
            gone = await self._outside.gone(row.hook)
            if not isinstance(gone, NotDone) and not gone.waits:
                await self._ended(conn, row, gone, row.told)
                return None
            await self._written(conn, row, row.told, looked=now)
            return gone if isinstance(gone, NotDone) else None
        if row.doing is not None or self._rules.over(row.hook, row.told, now):
            await self._written(conn, row, row.told, ended=now if self._rules.over(row.hook, row.told, now) else None)
        return None

    async def _ended(self, conn: Connection, row: Row, gone: Any, told: Told) -> None:
        now = datetime.now(UTC)
        if gone.approved_by and told.state not in ("allow", "warn"):
            hook = row.hook
            await self._rules.bypassed(
                conn,
                Bypassed(
                    gate=hook.gate, agent=hook.agent, release=hook.release, environment=hook.environment, at=now,
                    how="promoted", state=told.state or "hold", decision=told.decision,
                    actor=f"github:{gone.approved_by}"[:200],
                ),
            )  # fmt: skip
        why = f"went on without us: {gone.approved_by}"[:200] if gone.approved_by else "does not wait any more"
        await self._written(conn, row, row.told, why=why, ended=now)

    async def _answered(self, conn: Connection, row: Row, said: Callback, answer: Answer) -> Answer:
        name = type(answer).__name__.lower()
        self._said.labels(said.what, name).inc()
        now = datetime.now(UTC)
        if isinstance(answer, Done):
            told = msgspec.structs.replace(said.told, remote=answer.reference or said.told.remote)
            ended = now if self._rules.over(row.hook, told, now) else None
            await self._written(conn, row, told, ended=ended)
            return answer
        log.warning("github: %s was not heard: %s", said.what, answer.why)
        failures = row.failures + 1
        pause_s = min(PAUSE_S_MAX, 2.0 ** min(failures, 10))
        if isinstance(answer, NotDone) and answer.after_s:
            pause_s = max(pause_s, answer.after_s)
        unknown = isinstance(answer, Unknown) or (isinstance(answer, NotDone) and row.doing is said)
        later = now + (self._ask_after if isinstance(answer, Unknown) else timedelta(seconds=pause_s))
        over = self._rules.over(row.hook, row.told, now)
        doing, ended = (said if unknown else None), (now if over else None)
        await self._written(conn, row._replace(doing=doing, failures=failures), row.told, why=answer.why, next_at=later,
                            ended=ended, kept=unknown)  # fmt: skip
        return answer

    async def _written(self, conn: Connection, row: Row, told: Told, *, kept: bool = False, **given: Any) -> None:
        """Only where the attempt is still this one."""
        row_ = {
            "id": row.hook.id,
            "attempt": row.attempt,
            "told": Jsonb(msgspec.to_builtins(told)),
            "doing": Jsonb(msgspec.to_builtins(row.doing)) if kept and row.doing is not None else None,
            "failures": row.failures if given.get("why") else 0,
            "why": str(given.get("why", ""))[:500],
            "next": given.get("next_at") or datetime.now(UTC),
            "looked": given.get("looked"),
            "ended": given.get("ended"),
        }
        await conn.execute(ANSWERED, row_)
        self._reached("hook:written")


async def _due(conn: Connection, now: datetime, after: str) -> list[Row]:
    rows = await (await conn.execute(DUE, {"now": now, "after": after, "limit": HOOKS_MAX})).fetchall()
    return [
        Row(
            msgspec.convert(body, Hook),
            msgspec.convert(told, Told),
            attempt,
            None if doing is None else msgspec.convert(doing, Callback),
            failures,
            looked_at,
        )
        for body, told, attempt, doing, failures, looked_at in rows
    ]


async def forget(conn: Connection) -> None:
    """What has been over for a month."""
    await conn.execute("DELETE FROM hooks WHERE ended_at < now() - interval '30 days'")
