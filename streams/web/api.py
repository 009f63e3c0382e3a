"""The API. Reading is free, writing asks for the token; every body is JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ..learn.recording import recorded
from ..records import GateDecision, GateQuestion
from . import asking, cases, gate_answers, gate_people, outcomes, people, taking
from .answers import Documented, Refused
from .described import ASKING, READING
from .documents import (
    PRINTABLE,
    HealthDocument,
    IncidentDetail,
    Incidents,
    Line,
    PolicyChanges,
    PolicyDocument,
)
from .gate_desk import GateDesk
from .gate_documents import OneQuestion, QuestionsGiven
from .policies import changes, content
from .reading import Wanted, incidents
from .shop import Shop

SILENCE_MAX = timedelta(days=90)
MATCHERS = frozenset(("agent", "detector", "environment", "owner", "incident", "fingerprint"))
Name = Annotated[str, QueryParameter(min_length=1, max_length=256, pattern=PRINTABLE)]
Names = Annotated[list[Line], QueryParameter(min_items=1, max_items=20)]
Maybe = Annotated[str | None, QueryParameter(min_length=1, max_length=256, pattern=PRINTABLE)]
Stage = Literal["active", "open", "acknowledged", "mitigated", "resolved", "closed", "merged"]
Level = Literal["critical", "high", "medium", "low"]


@get("/v1/gates/{gate:str}/decision", tags=["gates"], operation_class=Documented, **ASKING)
async def ask_gate(  # noqa: PLR0917 - a query's parameters
    gate: FromPath[str],
    desk: NamedDependency[GateDesk],
    agent: Names,
    release: Names,
    environment: Name = "prod",
    baseline: Maybe = None,
) -> Response[GateDecision]:
    """Whether this release may go on. An unknown release is no error: the answer is hold.

    Several agents in one question: `agent` and `release` repeated, in pairs. The answer is `gate.decisions/v1`, the worst
    of theirs, with each in `decisions`.
    """
    if len(agent) != len(release):
        raise Refused(422, "`agent` and `release` come in pairs: repeat both equally often.")
    if baseline and len(agent) > 1:
        raise Refused(422, "One `baseline` cannot be that of several agents: use POST with `all`.")
    pairs = zip(agent, release, strict=True)
    return _json(await desk.several(gate, [GateQuestion(*pair, environment, baseline) for pair in pairs]))


@post("/v1/gates/{gate:str}/decision", tags=["gates"], status_code=200, operation_class=Documented, **ASKING)
async def ask_gate_by_body(
    desk: NamedDependency[GateDesk], gate: FromPath[str], data: JSONBody[QuestionsGiven]
) -> Response[GateDecision]:
    """The same, for tools that can only POST; several questions under `all`."""
    if data.all is not None:
        if data.agent or data.release or data.baseline:
            raise Refused(422, "Either one question, or several under `all`.")
        return _json(await desk.several(gate, [_question(one) for one in data.all]))
    if data.agent is None or data.release is None:
        raise Refused(422, "`agent` and `release` are missing.")
    asked = GateQuestion(data.agent, data.release, data.environment, data.baseline)
    return _json(await desk.several(gate, [asked]))


@get("/v1/decisions/{decision:str}", tags=["gates"], operation_class=Documented, **READING)
async def get_decision(shop: NamedDependency[Shop], decision: FromPath[str]) -> Response[GateDecision]:
    """A decision as it was answered, to the byte."""
    async with shop.connection() as conn:
        found = await recorded(conn, decision)
    if found is None:
        raise Refused(404, "There is no decision of this id.")
    return _json(found)


@get("/v1/incidents", tags=["incidents"], operation_class=Documented, **READING)
async def list_incidents(
    shop: NamedDependency[Shop],
    wanted: NamedDependency[Wanted],
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    after: Annotated[str | None, QueryParameter(max_length=1000)] = None,
) -> Incidents:
    """The newest first. `stage=active` is everything that is neither resolved, closed nor merged."""
    async with shop.connection() as conn:
        return await incidents(conn, wanted, limit, after)


def wanted(
    stage: FromQuery[Stage | None] = None,
    agent: Maybe = None,
    owner: Maybe = None,
    severity: FromQuery[Level | None] = None,
) -> Wanted:
    """The filters of a list of incidents."""
    return Wanted(stage, agent, owner, severity)


@get("/v1/incidents/{incident:str}", tags=["incidents"], operation_class=Documented, **READING)
async def get_incident(shop: NamedDependency[Shop], incident: FromPath[str]) -> IncidentDetail:
    """One incident with everything people are owed for it, every attempt and answer, and what gates make of it."""
    return await shop.incident(incident)


@get("/v1/health", tags=["health"], operation_class=Documented, **READING)
async def get_health(shop: NamedDependency[Shop]) -> HealthDocument:
    """How the pipeline itself is."""
    return await shop.health()


@get("/v1/policies", tags=["policies"], operation_class=Documented, **READING)
async def list_policies(
    shop: NamedDependency[Shop], limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50
) -> PolicyChanges:
    """Which policy followed which, and what it says otherwise."""
    async with shop.connection() as conn:
        return PolicyChanges(await changes(conn, limit))


@get("/v1/policies/{digest:str}", tags=["policies"], operation_class=Documented, **READING)
async def get_policy(shop: NamedDependency[Shop], digest: FromPath[str]) -> PolicyDocument:
    """What findings, incidents and decisions with this digest were made by."""
    async with shop.connection() as conn:
        found = await content(conn, digest)
    if found is None:
        raise Refused(404, "No policy of this digest was in force.")
    return found


def _question(given: OneQuestion) -> GateQuestion:
    return GateQuestion(given.agent, given.release, given.environment, given.baseline)


def _json(document: bytes) -> Response[GateDecision]:
    """The bytes as they are stored."""
    return Response(document, media_type="application/json")  # type: ignore[arg-type]


HANDLERS = [
    ask_gate,
    ask_gate_by_body,
    get_decision,
    list_incidents,
    get_incident,
    *people.HANDLERS,
    *outcomes.HANDLERS,
    *cases.HANDLERS,
    *gate_people.HANDLERS,
    *gate_answers.HANDLERS,
    *asking.HANDLERS,
    *taking.HANDLERS,
    get_health,
    list_policies,
    get_policy,
]
