"""Evaluators over HTTP: what they may cause and why; grants and labels of people go to learn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from urllib.parse import unquote

from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ..learn.outcomes import recorder
from ..learn.power import evaluators as reading
from ..learn.recording import tell
from ..records import POWERS, Granted, Labelled, Power
from .answers import Documented, Refused
from .described import READING, WRITING
from .documents import Accepted
from .evaluator_documents import (
    Corrected,
    EvaluatorDetail,
    Evaluators,
    GrantGiven,
    Labels,
    LabelsGiven,
    Proposals,
)
from .forms import FIELD_MAX, Asked, Text, see, shown, signed
from .rendering import place
from .shop import Shop

WAITING_SHOWN = 50


class Rate(Protocol):
    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class Agreed(Protocol):
    @property
    def kappa(self) -> float: ...
    @property
    def constant(self) -> float: ...


class Measures(NamedTuple):
    """How counts become rates: handed in."""

    agreement: Callable[[int, int, int, int], Agreed | None]
    corrected: Callable[[tuple[int, int], tuple[int, int], tuple[int, int]], Rate | None]


NONE = "There is no evaluator of this id."
NAME_MAX = 1000
NAME = "/v1/evaluators/{evaluator:str}"
RUNS_MAX = 20
REASON_MIN = 10


@get("/v1/evaluators", tags=["evaluators"], operation_class=Documented, **READING)
async def list_evaluators(shop: NamedDependency[Shop]) -> Evaluators:
    """Every evaluator: what it may cause, what people's decisions say of it, what it would take to gain or lose a step."""
    async with shop.connection() as conn:
        return Evaluators(await reading.evaluators(conn, starts(shop)))


@get("/v1/proposals", tags=["evaluators"], operation_class=Documented, **READING)
async def list_proposals(shop: NamedDependency[Shop]) -> Proposals:
    """Thresholds with which false positives would not have been found, and what else they would have dropped."""
    async with shop.connection() as conn:
        return Proposals(await reading.proposals(conn))


@get(NAME, tags=["evaluators"], operation_class=Documented, **READING)
async def get_evaluator(
    shop: NamedDependency[Shop], measures: NamedDependency[Measures], evaluator: FromPath[str]
) -> EvaluatorDetail:
    """One evaluator with its history, its audit, and what it overlooks as far as that is known."""
    return await detail(shop, measures, named(evaluator))


@post(f"{NAME}/grant", tags=["evaluators"], **WRITING)
async def grant(shop: NamedDependency[Shop], evaluator: FromPath[str], data: JSONBody[GrantGiven]) -> Accepted:
    """A person gives it a power, or takes one away; what was decided before does not change that again."""
    return await _granted(shop, named(evaluator), data.power, data.actor, data.reason)


@post(f"{NAME}/labels", tags=["evaluators"], **WRITING)
async def label(shop: NamedDependency[Shop], evaluator: FromPath[str], data: JSONBody[LabelsGiven]) -> Labels:
    """What a person says of sessions that it judged: of its audit, or a set labelled offline."""
    evaluator = named(evaluator)
    now, actor = datetime.now(UTC), shop.recorder.typed(data.actor)
    if any(not one.flagged or len(one.flagged) > RUNS_MAX for one in data.labels):
        raise Refused(422, f"`flagged` says what it said in each run: 1 to {RUNS_MAX} values.")
    async with shop.connection() as conn, conn.transaction():
        await _there(shop, evaluator, offline=data.offline)
        for one in data.labels:
            for flagged in one.flagged:
                await tell(conn, Labelled(evaluator, one.session, flagged, one.bad, actor, now, data.offline))
        await reading.labelled(conn, evaluator, [one.session for one in data.labels], now)
    return Labels(True, evaluator, len(data.labels))


@get("/evaluators", media_type=MediaType.HTML, include_in_schema=False)
async def evaluators_page(request: Asked, shop: NamedDependency[Shop]) -> Response[str]:
    async with shop.connection() as conn:
        rows = await reading.evaluators(conn, starts(shop))
        proposed = await reading.proposals(conn)
        waits = await recorder.waiting(conn, WAITING_SHOWN)
    return shown(request, "evaluators.html", rows=rows, proposals=proposed, waits=waits, where="evaluators")


@get("/evaluators/{evaluator:str}", media_type=MediaType.HTML, include_in_schema=False)
async def evaluator_page(
    request: Asked,
    shop: NamedDependency[Shop],
    measures: NamedDependency[Measures],
    evaluator: FromPath[str],
    said: Text = "",
) -> Response[str]:
    found = await detail(shop, measures, named(evaluator))
    return shown(request, "evaluator.html", one=found, said=said, powers=POWERS, where="evaluators")


@post("/evaluators/{evaluator:str}/grant", include_in_schema=False)
async def grant_form(request: Asked, shop: NamedDependency[Shop], evaluator: FromPath[str]) -> Response[str]:
    evaluator = named(evaluator)
    visitor, given = await signed(request, shop.keys)
    power = next((one for one in POWERS if one == given.get("power")), None)
    reason = given.get("reason", "").strip()[:FIELD_MAX]
    if power is None or len(reason) < REASON_MIN:
        raise Refused(422, f"Choose a power, and say why in {REASON_MIN} characters or more.")
    await _granted(shop, evaluator, power, visitor.name, reason)
    return see(f"/evaluators/{escaped(evaluator)}?said=granted")


@post("/evaluators/{evaluator:str}/label", include_in_schema=False)
async def label_form(request: Asked, shop: NamedDependency[Shop], evaluator: FromPath[str]) -> Response[str]:
    """Of its audit: sessions that it passed."""
    evaluator = named(evaluator)
    visitor, given = await signed(request, shop.keys)
    session, bad = given.get("session", "")[:512], {"bad": True, "good": False}.get(given.get("label", ""))
    if not session or bad is None:
        raise Refused(422, "Say whether the session was bad.")
    now = datetime.now(UTC)
    async with shop.connection() as conn, conn.transaction():
        await _there(shop, evaluator)
        await tell(conn, Labelled(evaluator, session, False, bad, shop.recorder.typed(visitor.name), now))
        await reading.labelled(conn, evaluator, [session], now)
    return see(f"/evaluators/{escaped(evaluator)}?said=labelled")


async def detail(shop: Shop, measures: Measures, name: str) -> EvaluatorDetail:
    async with shop.connection() as conn:
        found = await reading.evaluator(conn, name, starts(shop))
        if found is None:
            raise Refused(404, NONE)
        more = await reading.evidence(conn, name)
    both, only, missed, neither = found.worth.audited if found.worth else (0, 0, 0, 0)
    agreed = measures.agreement(both, only, missed, neither)
    rate = measures.corrected((more.flagged, more.scored), (both, both + missed), (neither, neither + only))
    shown_rate = Corrected(round(rate.value, 4), round(rate.low, 4), round(rate.high, 4)) if rate else None
    return EvaluatorDetail(
        found,
        more,
        shown_rate,
        round(agreed.kappa, 3) if agreed else None,
        round(agreed.constant, 3) if agreed else None,
        _recall(both + missed + only + neither, missed, missed + neither),
    )


def named(part: str) -> str:
    """Names of evaluators have slashes, and no part of a path can: there they are escaped twice."""
    name = unquote(part)
    if len(name) > NAME_MAX or "\0" in name:  # nobody can write that down
        raise Refused(404, NONE)
    return name


def escaped(name: str) -> str:
    return place(name.replace("%", "%25").replace("/", "%2F"))


def starts(shop: Shop) -> dict[str, Power]:
    """What evaluators begin with: every gate knows the same."""
    values = next(iter(shop.gatehouse.gates.values()), None)
    return dict(values.start) if values else {}


async def _granted(shop: Shop, evaluator: str, power: Power, actor: str, reason: str) -> Accepted:
    async with shop.connection() as conn:
        await _there(shop, evaluator)
        await tell(conn, Granted(evaluator, power, shop.recorder.typed(actor), reason, datetime.now(UTC)))
    return Accepted(True, evaluator)


async def _there(shop: Shop, evaluator: str, *, offline: bool = False) -> None:
    """A set may be labelled before its evaluator has found anything."""
    if offline and evaluator.count(":") and evaluator.count("@"):
        return
    async with shop.connection() as conn:
        if await reading.evaluator(conn, evaluator, starts(shop)) is None:
            raise Refused(404, NONE)


def _recall(audited: int, missed: int, passed: int) -> str:
    if not audited:
        return "Nobody has looked at sessions that it passed: how much it overlooks is not known, only how often it is right."
    return f"Of {passed} sessions that it passed and people looked at, {missed} were bad."


HANDLERS = [
    list_evaluators,
    list_proposals,
    get_evaluator,
    grant,
    label,
    evaluators_page,
    evaluator_page,
    grant_form,
    label_form,
]
