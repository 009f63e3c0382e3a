"""The API. Reading is free, writing asks for the token; every body is JSON."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ..learn.recording import recorded
from ..records import GateDecision, GateQuestion, Outcome, Silence
from .answers import Documented, Refused
from .documents import (
    PRINTABLE,
    Accepted,
    AcknowledgementGiven,
    GateQuestionGiven,
    HealthDocument,
    IncidentDetail,
    Incidents,
    OutcomeGiven,
    PolicyChanges,
    PolicyDocument,
    Problem,
    SilenceGiven,
)
from .policies import changes, content
from .reading import Wanted, incidents
from .shop import Shop

SILENCE_MAX = timedelta(days=90)
MATCHERS = frozenset(("agent", "detector", "environment", "owner", "incident", "fingerprint"))
Name = Annotated[str, QueryParameter(min_length=1, max_length=256, pattern=PRINTABLE)]
Maybe = Annotated[str | None, QueryParameter(min_length=1, max_length=256, pattern=PRINTABLE)]
Stage = Literal["active", "open", "acknowledged", "mitigated", "resolved", "closed", "merged"]
Level = Literal["critical", "high", "medium", "low"]


def _problems(**told: str) -> dict[int, ResponseSpec]:
    texts = {int(status.lstrip("_")): text for status, text in told.items()}
    return {
        status: ResponseSpec(Problem, description=text, generate_examples=False, media_type="application/problem+json")
        for status, text in texts.items()
    }


WRITING: Any = {
    "security": [{"token": []}],
    "responses": _problems(
        _401="The token is missing or wrong", _403="No token is set", _404="Unknown", _503="The database is away"
    ),
}
ASKING: Any = {"responses": _problems(_404="The policy has no such gate", _503="The gate cannot answer; ask again")}
READING: Any = {"responses": _problems(_404="Unknown", _503="The database is away")}


def token_needed(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard: without the token nothing is read of the body either."""
    keys = connection.app.state.door
    if not keys.usable:
        raise Refused(403, "Writing is off: no token is set (TOCSIN_TOKEN).")
    if not keys.bearer(connection.headers.get("authorization")):
        raise Refused(401, "This needs the header `Authorization: Bearer <token>`.")


@get("/v1/gates/{gate:str}/decision", tags=["gates"], operation_class=Documented, **ASKING)
async def ask_gate(  # noqa: PLR0917 - a query's parameters
    shop: NamedDependency[Shop],
    gate: FromPath[str],
    agent: Name,
    release: Name,
    environment: Name = "prod",
    baseline: Maybe = None,
) -> Response[GateDecision]:
    """Whether this release may go on. An unknown release is no error: the answer is hold."""
    return _json(await shop.gatehouse.answer(gate, GateQuestion(agent, release, environment, baseline)))


@post("/v1/gates/{gate:str}/decision", tags=["gates"], status_code=200, operation_class=Documented, **ASKING)
async def ask_gate_by_body(
    shop: NamedDependency[Shop], gate: FromPath[str], data: JSONBody[GateQuestionGiven]
) -> Response[GateDecision]:
    """The same, for tools that can only POST."""
    asked = GateQuestion(data.agent, data.release, data.environment, data.baseline)
    return _json(await shop.gatehouse.answer(gate, asked))


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


@post(
    "/v1/incidents/{incident:str}/acknowledge",
    tags=["incidents"],
    guards=[token_needed],
    status_code=202,
    operation_class=Documented,
    **WRITING,
)
async def acknowledge(
    shop: NamedDependency[Shop], incident: FromPath[str], data: JSONBody[AcknowledgementGiven]
) -> Accepted:
    """Somebody is on it: escalation ends."""
    return await shop.acknowledge(incident, data.actor)


@post(
    "/v1/incidents/{incident:str}/outcome",
    tags=["incidents"],
    guards=[token_needed],
    status_code=202,
    operation_class=Documented,
    **WRITING,
)
async def decide(shop: NamedDependency[Shop], incident: FromPath[str], data: JSONBody[OutcomeGiven]) -> Accepted:
    """What somebody decided. The last one wins; `reopened` takes it back."""
    if data.fixed_in and data.outcome != "fixed":
        raise Refused(422, "`fixed_in` goes with the outcome `fixed` alone.")
    now, reason = datetime.now(UTC), data.reason or None
    return await shop.decide(
        Outcome(incident, data.outcome, now, data.actor, "web", data.fixed_in, reason, data.reopened)
    )


@post(
    "/v1/silences",
    tags=["incidents"],
    guards=[token_needed],
    status_code=202,
    operation_class=Documented,
    **WRITING,
)
async def silence(shop: NamedDependency[Shop], data: JSONBody[SilenceGiven]) -> Accepted:
    """Hides matching incidents from people until an end, never from gates."""
    now = datetime.now(UTC)
    if unknown := sorted(set(data.matchers) - MATCHERS):
        raise Refused(422, f"Unknown matchers: {', '.join(unknown)[:200]}; known: {', '.join(sorted(MATCHERS))}.")
    if not now < data.until <= now + SILENCE_MAX:
        raise Refused(422, "`until` must be in the future, at most 90 days ahead.")
    whole = msgspec.json.encode((data, now), order="deterministic")
    name = f"s-{hashlib.blake2b(whole, digest_size=8).hexdigest()}"
    return await shop.silence(Silence(name, data.matchers, data.reason, data.actor, now, data.until))


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


def _json(document: bytes) -> Response[GateDecision]:
    """The bytes as they are stored."""
    return Response(document, media_type="application/json")  # type: ignore[arg-type]


HANDLERS = [
    ask_gate,
    ask_gate_by_body,
    get_decision,
    list_incidents,
    get_incident,
    acknowledge,
    decide,
    silence,
    get_health,
    list_policies,
    get_policy,
]
