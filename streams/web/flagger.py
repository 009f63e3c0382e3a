"""Flagger's hooks: 200 or 403 and one sentence. For `rollback` a 200 rolls production back, so there every doubt is 403."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from litestar import MediaType, Request, Response, post
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter

from ..records import GateDecision, GateQuestion, GateState
from ..respond.receivers.jira_text import line
from ..settings import Secret
from .gatehouse import CannotAnswer, UnknownGate

log = logging.getLogger(__name__)

ANSWER_S_MAX = 5.0  # of the ten seconds that Flagger waits
NAME_MAX, SENTENCE_MAX = 256, 600
YES, NO = 200, 403  # what lies above 202 is a no to Flagger, 403 is not tried again
GOING: dict[str, frozenset[GateState]] = {
    "confirm": frozenset(("allow", "warn")),  # a no waits
    "check": frozenset(("allow", "warn", "hold")),  # a no counts towards a rollback: want of knowledge is none
    "rollback": frozenset(("block",)),  # a yes is the rollback
}
PHASES = frozenset(
    ("Initializing", "Initialized", "Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising",
     "Succeeded", "Failed", "Terminating", "Terminated")
)  # fmt: skip
EVENTS = ("Normal", "Warning")

Ask = Callable[[str, GateQuestion], Awaitable[bytes]]
Written = Callable[[str], Awaitable[bool]]


class Payload(Struct, frozen=True):
    """What Flagger posts. The release is not in it: people template it into `metadata`."""

    name: str = ""
    namespace: str = ""
    phase: str = ""
    metadata: dict[str, str] = {}


class Said(NamedTuple):
    status: int
    sentence: str


class Mistake(Exception):
    """The canary's hook is written wrongly; the sentence says how."""


class Flagger:
    """`ask` is the gate, `written` whether a decision can be looked up, `token` what hooks must show, if anything."""

    def __init__(self, ask: Ask, written: Written, token: Secret, registry: CollectorRegistry) -> None:
        self._ask, self._written, self._token = ask, written, token.reveal().encode()
        self._events = Counter("tocsin_flagger_events", "What Flagger told", ("phase", "type"), registry=registry)

    async def judged(self, hook: str, body: bytes, shown: str) -> Said:
        """Never raises. Our own trouble is no reason to roll anything back, nor to promote it."""
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                return await self._judged(hook, body, shown)
        except Mistake as error:
            return Said(NO, str(error))
        except UnknownGate:
            return Said(NO, "The policy has no gate of the name in metadata.gate.")
        except (CannotAnswer, TimeoutError):
            why = "The gate cannot answer now"
        except Exception as error:
            log.exception("a hook of Flagger failed")
            why = f"The gate cannot answer now ({type(error).__name__})"
        if hook == "check":
            return Said(YES, f"{why}; nothing is known against this release.")
        return Said(NO, f"{why}; {'nothing is rolled back.' if hook == 'rollback' else 'it is asked again.'}")

    async def _judged(self, hook: str, body: bytes, shown: str) -> Said:
        payload = _payload(body)
        self._admitted(payload.metadata, shown)
        gate, question = _question(payload.metadata)
        decision = msgspec.json.decode(await self._ask(gate, question), type=GateDecision)
        sentence = _sentence(decision)
        if decision.state not in GOING[hook]:
            return Said(NO, sentence)
        if hook == "rollback" and (doubt := await self._doubt(decision, question)):
            return Said(NO, f"Not rolled back: {doubt}. {sentence}")
        return Said(YES, sentence)

    async def _doubt(self, decision: GateDecision, question: GateQuestion) -> str:
        """Why a block is not reason enough to roll back."""
        now = datetime.now(UTC)
        if (decision.agent, decision.environment) != (question.agent, question.environment):
            return "the decision is about something else"
        if not decision.block or decision.freshness.stale:
            return "what the gate knows is too old"
        if not decision.as_of <= now < decision.valid_until:
            return "the decision is not of now"
        if not await self._written(decision.decision_id):
            return "the decision is not written down"
        return ""

    def _admitted(self, metadata: Mapping[str, str], shown: str) -> None:
        given = (metadata.get("token") or shown).encode(errors="replace")
        if self._token and not hmac.compare_digest(given, self._token):
            raise Mistake("metadata.token is missing or wrong.")

    def noted(self, body: bytes, shown: str) -> Said:
        """What phase a canary is in. Never an error: nothing of a rollout hangs on it."""
        try:
            payload = _payload(body)
            self._admitted(payload.metadata, shown)
        except Mistake as error:
            return Said(YES, f"Not noted: {error}")
        told = payload.metadata
        phase = payload.phase if payload.phase in PHASES else "other"
        self._events.labels(phase, told.get("eventType") if told.get("eventType") in EVENTS else "other").inc()
        where, message = line(f"{payload.namespace}/{payload.name}", NAME_MAX), line(told.get("eventMessage", ""), 300)
        log.info("flagger: %s is %s: %s", where, phase, message)
        return Said(YES, "Noted.")


def _payload(body: bytes) -> Payload:
    try:
        return msgspec.json.decode(body, type=Payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Mistake("The body is not what Flagger posts.") from None


def _question(metadata: Mapping[str, str]) -> tuple[str, GateQuestion]:
    told = {name: metadata.get(name, "") for name in ("agent", "release", "environment", "gate")}
    for name, value in told.items():
        if len(value) > NAME_MAX or not value.isprintable():
            raise Mistake(f"metadata.{name} is no name.")
    if not told["agent"] or not told["release"]:
        raise Mistake("The hook's metadata must name agent and release: Flagger's payload has neither.")
    return told["gate"] or "promotion", GateQuestion(told["agent"], told["release"], told["environment"] or "prod")


def _sentence(decision: GateDecision) -> str:
    """It ends up in the canary's events, where people read it."""
    told = f"{decision.release}: {decision.state}. {decision.summary}"
    where = (*decision.links.tickets[:1], decision.links.self)[0]
    return f"{line(told, SENTENCE_MAX)} {where}"


async def _answered(request: Request[Any, Any, Any], hook: str) -> Response[str]:
    flagger: Flagger = request.app.state.flagger
    shown = request.query_params.get("token", "")
    try:
        body = await request.body()
    except Exception:  # too large, cut off
        body = b""
    said = flagger.noted(body, shown) if hook == "event" else await flagger.judged(hook, body, shown)
    return Response(said.sentence, status_code=said.status, media_type=MediaType.TEXT)


@post("/flagger/confirm", status_code=200, include_in_schema=False)
async def confirm(request: Request[Any, Any, Any]) -> Response[str]:
    """confirm-rollout, confirm-traffic-increase, confirm-promotion: go on only with a yes."""
    return await _answered(request, "confirm")


@post("/flagger/check", status_code=200, include_in_schema=False)
async def check(request: Request[Any, Any, Any]) -> Response[str]:
    """pre-rollout, rollout: only a block counts against the canary."""
    return await _answered(request, "check")


@post("/flagger/rollback", status_code=200, include_in_schema=False)
async def rollback(request: Request[Any, Any, Any]) -> Response[str]:
    """200 rolls back."""
    return await _answered(request, "rollback")


@post("/flagger/event", status_code=200, include_in_schema=False)
async def event(request: Request[Any, Any, Any]) -> Response[str]:
    """post-rollout, event."""
    return await _answered(request, "event")


HANDLERS = [confirm, check, rollback, event]
