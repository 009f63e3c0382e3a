"""The API for what gates answered: the list, why, made again, reviews of overrides, and what shadow mode would do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

import msgspec
import psycopg
from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter
from psycopg_pool import PoolTimeout

from ..records import GateDecision, GateInputs, GateQuestion, GateValues, RuleTold
from .answers import Documented, Refused
from .described import ASKING, READING
from .documents import PRINTABLE
from .gate_documents import Decisions, Explanation, GateReport, Gates, Replayed, Review, Standing
from .gate_reading import decisions, report, review, standing, stored
from .shop import Shop

GATES_MAX = 500
Name = Annotated[str, QueryParameter(min_length=1, max_length=256, pattern=PRINTABLE)]
Maybe = Annotated[str | None, QueryParameter(min_length=1, max_length=256, pattern=PRINTABLE)]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
Days = Annotated[int, QueryParameter(ge=1, le=365)]
When = Annotated[datetime | None, QueryParameter()]


class Deciding(NamedTuple):
    """What is decided elsewhere."""

    decide: Callable[[GateValues, GateInputs, datetime], GateDecision]
    explained: Callable[[GateDecision], tuple[RuleTold, ...]]


class About(NamedTuple):
    """Which decisions; None: whatever it is."""

    gate: str | None = None
    agent: str | None = None
    release: str | None = None
    environment: str | None = None


class Archive:
    """What gates answered and would answer."""

    def __init__(self, shop: Shop, deciding: Deciding) -> None:
        self._shop, self._house, self._deciding = shop, shop.gatehouse, deciding

    async def gates(self) -> tuple[Standing, ...]:
        known = await self._since()
        found = []
        for one in self._house.overview(GATES_MAX):
            state, since = known.get((one.gate, one.agent, one.release, one.environment), ("", None))
            where = (one.gate, one.agent, one.release, one.environment)
            at = since if state == one.state else None
            found.append(Standing(*where, one.state, at, one.progress, one.summary, _asked_for(one)))
        return tuple(found)

    async def _since(self) -> dict[tuple[str, str, str, str], tuple[str, datetime]]:
        """Nothing while the database is away: what gates answer is known without it."""
        try:
            async with self._shop.connection() as conn:
                return await standing(conn)
        except (psycopg.Error, PoolTimeout, TimeoutError, OSError):
            return {}

    def now(self, gate: str, question: GateQuestion) -> Explanation:
        decision, _ = self._house.decide(gate, question)
        return self.told(decision)

    def told(self, decision: GateDecision) -> Explanation:
        return Explanation(decision, self._deciding.explained(decision))

    async def then(self, name: str) -> Explanation:
        return self.told((await self.replayed(name)).stored)

    async def replayed(self, name: str) -> Replayed:
        async with self._shop.connection() as conn:
            found = await stored(conn, name)
        if found is None:
            raise Refused(404, "There is no decision of this id.")
        again = self._deciding.decide(found.values, found.inputs, found.as_of)
        before = msgspec.json.decode(found.document, type=GateDecision)
        return Replayed(name, msgspec.json.encode(again) == found.document, before, again)

    async def decisions(self, limit: int, **wanted: object) -> Decisions:
        async with self._shop.connection() as conn:
            return Decisions(await decisions(conn, limit, **wanted))

    async def review(self, days: int) -> Review:
        async with self._shop.connection() as conn:
            return await review(conn, days, datetime.now(UTC) - timedelta(days=days))

    async def report(self, days: int) -> GateReport:
        now = datetime.now(UTC)
        gates = {name: values.shadow for name, values in self._house.gates.items()}
        async with self._shop.connection() as conn:
            return await report(conn, days, (now - timedelta(days=days), now), gates)


def _asked_for(decision: GateDecision) -> str:
    """What people have to do with it at present."""
    overrides = [f"override {one['id']}" for one in decision.overrides if one.get("valid")]
    return ", ".join(
        [*overrides, *(f"freeze {one.detail.get('freeze')}" for one in decision.reasons if one.rule == "freeze")]
    )


@get("/v1/gates", tags=["gates"], operation_class=Documented, **ASKING)
async def list_gates(archive: NamedDependency[Archive]) -> Gates:
    """What every gate would answer about every release that is known, and since when."""
    return Gates(await archive.gates())


@get("/v1/gates/{gate:str}/explanation", tags=["gates"], operation_class=Documented, **ASKING)
async def explain_gate(  # noqa: PLR0917 - a query's parameters
    archive: NamedDependency[Archive],
    gate: FromPath[str],
    agent: Name,
    release: Name,
    environment: Name = "prod",
    baseline: Maybe = None,
) -> Explanation:
    """Each of the thirteen rules with its numbers and what would change it, as of now. Nothing is written down."""
    return archive.now(gate, GateQuestion(agent, release, environment, baseline))


def about(gate: Maybe = None, agent: Maybe = None, release: Maybe = None, environment: Maybe = None) -> About:
    """The filters of a list of decisions."""
    return About(gate, agent, release, environment)


ABOUT = {"about": Provide(about, sync_to_thread=False)}


@get("/v1/decisions", tags=["gates"], operation_class=Documented, dependencies=ABOUT, **READING)
async def list_decisions(
    archive: NamedDependency[Archive],
    about: NamedDependency[About],
    since: When = None,
    limit: Limit = 100,
) -> Decisions:
    """What was answered, the newest first."""
    if since is not None and since.tzinfo is None:
        raise Refused(422, "`since` has no offset: write 2026-11-21T18:00:00+01:00.")
    return await archive.decisions(limit, since=since, **about._asdict())


@get("/v1/decisions/{decision:str}/explanation", tags=["gates"], operation_class=Documented, **READING)
async def explain_decision(archive: NamedDependency[Archive], decision: FromPath[str]) -> Explanation:
    """The same of a decision as it was answered."""
    return await archive.then(decision)


@get("/v1/decisions/{decision:str}/replay", tags=["gates"], operation_class=Documented, **READING)
async def replay_decision(archive: NamedDependency[Archive], decision: FromPath[str]) -> Replayed:
    """Made again from the policy's values and the inputs that were stored with it, and compared to the byte."""
    return await archive.replayed(decision)


@get("/v1/reviews/overrides", tags=["gates"], operation_class=Documented, **READING)
async def review_overrides(archive: NamedDependency[Archive], days: Days = 30) -> Review:
    """How many overrides, how soon, how many were followed by an incident; rules that are set aside too often."""
    return await archive.review(days)


@get("/v1/reviews/gates", tags=["gates"], operation_class=Documented, **READING)
async def review_gates(archive: NamedDependency[Archive], days: Days = 30) -> GateReport:
    """What each gate said of what was deployed, both kinds of error, and what went past a gate."""
    return await archive.report(days)


HANDLERS = [
    list_gates,
    explain_gate,
    list_decisions,
    explain_decision,
    replay_decision,
    review_overrides,
    review_gates,
]
