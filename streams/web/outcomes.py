"""The API for outcomes: how an incident ended, and who stands by what was decided in bulk or under pressure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from ..learn.outcomes import recorder
from ..learn.outcomes.recorder import SamePerson
from ..records import Confirmed, Outcome
from .answers import Documented, Refused
from .described import READING, WRITING
from .outcome_documents import Confirmation, ConfirmationGiven, OutcomeGiven, Outcomes, OutcomeTaken
from .shop import Shop

GOES_WITH = {  # which outcomes an attribute may come with
    "fixed_in": ("fixed", "external_cause"),
    "cause": ("fixed", "external_cause"),
    "why": ("false_positive",),
    "expires_at": ("accepted_risk",),
    "review_at": ("wont_fix",),
    "provider": ("external_cause",),
    "duplicate_of": ("duplicate",),
}
AHEAD = ("expires_at", "review_at")


@post("/v1/incidents/{incident:str}/outcome", tags=["incidents"], **WRITING)
async def decide(shop: NamedDependency[Shop], incident: FromPath[str], data: JSONBody[OutcomeGiven]) -> OutcomeTaken:
    """What somebody decided. The last one wins; `reopened` takes it back."""
    return await decided(shop, meant(incident, data, datetime.now(UTC)))


@get("/v1/outcomes", tags=["incidents"], operation_class=Documented, **READING)
async def list_waiting(
    shop: NamedDependency[Shop], limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 200
) -> Outcomes:
    """Decisions that hold for tickets and gates, and count for evaluators once somebody stands by them."""
    async with shop.connection() as conn:
        return Outcomes(tuple(await recorder.waiting(conn, limit)))


@post("/v1/outcomes/confirm", tags=["incidents"], **WRITING)
async def confirm(shop: NamedDependency[Shop], data: JSONBody[ConfirmationGiven]) -> Confirmation:
    """Stand by them. What somebody said under pressure takes a second person."""
    return await confirmed(shop, data.incidents, data.actor, data.source)


def meant(incident: str, data: OutcomeGiven, now: datetime) -> Outcome:
    """The outcome that was said, or why it cannot be."""
    for name, outcomes in GOES_WITH.items():
        if getattr(data, name) is not None and (data.outcome not in outcomes or data.reopened):
            raise Refused(422, f"`{name}` goes with {' or '.join(f'`{one}`' for one in outcomes)} alone.")
    for name in AHEAD:
        at = getattr(data, name)
        if at is not None and at <= now:
            raise Refused(422, f"`{name}` has to lie ahead.")
    return Outcome(
        *(incident, data.outcome, now, data.actor, data.source, data.fixed_in, data.reason or None, data.reopened),
        *(data.why, data.cause, data.expires_at, data.review_at, data.provider, data.duplicate_of),
    )


async def decided(shop: Shop, outcome: Outcome) -> OutcomeTaken:
    return OutcomeTaken(True, outcome.incident, await shop.decide(outcome))


async def confirmed(shop: Shop, incidents: Sequence[str], actor: str, source: str) -> Confirmation:
    given = Confirmed(tuple(incidents), shop.recorder.typed(actor), datetime.now(UTC), source)
    async with shop.connection() as conn:
        try:
            found = await shop.recorder.confirm(conn, given)
        except SamePerson as error:
            raise Refused(422, f"{error} takes another person: it holds up a release that you want.") from None
    if not found:
        raise Refused(404, "None of them waits for anybody.")
    return Confirmation(True, found)


HANDLERS = [decide, list_waiting, confirm]
