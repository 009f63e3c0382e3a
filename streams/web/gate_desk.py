"""What people say about gates: overrides and freezes are checked, answered in words, and told to learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from ..learn.gates import ruling
from ..learn.recording import tell
from ..records import (
    Freeze,
    FreezeAsked,
    GateDecision,
    GateDecisions,
    GateInputs,
    GateQuestion,
    GateValues,
    Override,
    OverrideApproved,
    OverrideAsked,
    OverrideEnded,
)
from .answers import Refused
from .documents import Accepted
from .gate_documents import FreezeGiven, FreezeTaken, FreezeView, OverrideGiven, OverrideTaken, OverrideView
from .gatehouse import CannotAnswer, UnknownGate
from .shop import Shop

NONE = "There is no override of this id."
WORDS = {"ended": "ended", "voided": "voided", "expired": "expired", "used": "used", "pending": "pending"}


class Rules(NamedTuple):
    """What is decided elsewhere."""

    override: Callable[[OverrideAsked, GateValues, GateInputs, float, datetime], Override | str]
    approvable: Callable[[Override, str, datetime], str | None]
    over: Callable[[Override, datetime], str | None]
    holds: Callable[[Override, GateInputs, float, datetime], str | None]
    second: Callable[[Override], bool]
    against: Callable[[GateValues, GateInputs], float]
    freeze: Callable[[FreezeAsked, datetime], Freeze | str]
    together: Callable[[Sequence[GateDecision]], GateDecisions]


class GateDesk:
    def __init__(self, shop: Shop, rules: Rules) -> None:
        self._shop, self._house, self._rules = shop, shop.gatehouse, rules
        self.keys = shop.keys

    async def several(self, gate: str, questions: Sequence[GateQuestion]) -> bytes:
        """One answer: as it is stored. Several: the worst of them, each as it is stored."""
        documents = [await self._house.answer(gate, one) for one in questions]
        if len(documents) == 1:
            return documents[0]
        found = [msgspec.json.decode(one, type=GateDecision) for one in documents]
        return msgspec.json.encode(self._rules.together(found))

    async def ask(self, given: OverrideGiven) -> OverrideTaken:
        now = _now()
        expires_at: str | datetime | None = given.expires_at
        if given.for_s is not None:
            if expires_at is not None:
                raise Refused(422, "Say when it ends once: either `expires_at` or `for_s`.")
            expires_at = now + timedelta(seconds=given.for_s)
        values = self._house.gates.get(given.gate)
        if values is None:
            raise UnknownGate(given.gate)
        _, inputs = self._house.decide(given.gate, GateQuestion(given.agent, given.release, given.environment))
        asked = OverrideAsked(
            gate=given.gate,
            agent=given.agent,
            release=given.release,
            environment=given.environment,
            reasons=tuple(given.reasons),
            reason=given.reason,
            requested_by=given.actor,
            expires_at=expires_at,
            ticket=given.ticket,
            single_use=given.single_use,
        )
        override = self._rules.override(asked, values, inputs, self._rules.against(values, inputs), now)
        if isinstance(override, str):
            raise Refused(422, override)
        async with self._shop.connection() as conn:
            await tell(conn, override)
        return OverrideTaken(True, override.id, override.expires_at, self._rules.second(override))

    async def approve(self, name: str, actor: str) -> Accepted:
        now = _now()
        async with self._shop.connection() as conn:
            override = await ruling.override_named(conn, name)
            if override is None:
                raise Refused(404, NONE)
            if why := self._rules.approvable(override, actor, now):
                raise Refused(422, why)
            await tell(conn, OverrideApproved(name, actor, now))
        return Accepted(True, name)

    async def end(self, name: str, actor: str) -> Accepted:
        """Ending what is over is ending it."""
        async with self._shop.connection() as conn:
            if await ruling.override_named(conn, name) is None:
                raise Refused(404, NONE)
            await tell(conn, OverrideEnded(name, _now(), actor))
        return Accepted(True, name)

    async def overrides(self, *, active: bool = False) -> tuple[OverrideView, ...]:
        now = _now()
        async with self._shop.connection() as conn:
            rows = await ruling.overrides(conn, active=active, now=now)
        return tuple(self._view(body, state, why, at, now) for body, state, why, at in rows)

    async def override(self, name: str) -> OverrideView:
        found = next((one for one in await self.overrides() if one.override.id == name), None)
        if found is not None:
            return found
        async with self._shop.connection() as conn:
            told = await ruling.override_named(conn, name)
        if told is None:
            raise Refused(404, NONE)
        return self._view(msgspec.to_builtins(told), "requested", "", None, _now())

    async def freeze(self, given: FreezeGiven) -> FreezeTaken:
        fields = msgspec.structs.asdict(given)
        lists = {"agents": tuple(given.agents), "environments": tuple(given.environments)}
        freeze = self._rules.freeze(FreezeAsked(**{**fields, **lists}), _now())
        if isinstance(freeze, str):
            raise Refused(422, freeze)
        async with self._shop.connection() as conn:
            await tell(conn, freeze)
        return FreezeTaken(True, freeze.id, freeze.begins, freeze.ends)

    async def end_freeze(self, name: str) -> Accepted:
        now = _now()
        async with self._shop.connection() as conn:
            freeze = await ruling.freeze_named(conn, name)
            if freeze is None:
                raise Refused(404, "There is no freeze of this id.")
            if freeze.ended_at is None and freeze.ends > now:
                await tell(conn, msgspec.structs.replace(freeze, at=now, ended_at=now))
        return Accepted(True, name)

    async def freezes(self, *, active: bool = False) -> tuple[FreezeView, ...]:
        now = _now()
        async with self._shop.connection() as conn:
            return tuple(_frozen(one, now) for one in await ruling.freezes(conn, active=active, now=now))

    def _view(self, body: object, what: str, why: str, approved_at: datetime | None, now: datetime) -> OverrideView:
        override = msgspec.convert(body, Override)
        state, words = self._state(override, what, why, now)
        return OverrideView(override, state, words, self._rules.second(override), approved_at)

    def _state(self, override: Override, what: str, why: str, now: datetime) -> tuple[str, str]:
        if what == "voided":
            return "voided", why
        if over := self._rules.over(override, now):
            return WORDS.get(over.partition(":")[0], "ended"), over
        try:
            question = GateQuestion(override.agent, override.release, override.environment)
            _, inputs = self._house.decide(override.gate, question)
        except (CannotAnswer, UnknownGate):
            return "active", ""
        against = self._rules.against(self._house.gates[override.gate], inputs)
        void = self._rules.holds(override, inputs, against, now)
        return ("voided", void) if void else ("active", "")


def _frozen(freeze: Freeze, now: datetime) -> FreezeView:
    if freeze.ended_at is not None and freeze.ended_at <= now:
        return FreezeView(freeze, "ended")
    if freeze.ends <= now:
        return FreezeView(freeze, "over")
    return FreezeView(freeze, "active" if freeze.begins <= now else "ahead")


def _now() -> datetime:
    return datetime.now(UTC)
