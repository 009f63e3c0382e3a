"""The API for questions that a person answers before something is done: asked by agents, answered by people."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct

from ..learn.controls.questions import Standing, answer, question, questions
from ..learn.recording import tell
from ..records import ApprovalAnswered, ApprovalAsked
from .answers import Documented, Refused
from .described import OF_AGENTS, READING, WRITING
from .documents import Accepted, Line, Said, Words
from .forms import Asked
from .shop import Shop
from .waiting import Waiting

WAIT_S_MAX = 25.0
OVER = {"approved": "It was approved already.", "refused": "It was refused already.", "expired": "It has expired."}
NONE = "There is no question of this id."
ANOTHER = "This id is another question's: what was approved there is not approved here. Ask under an id of its own."
ABOUT = ("action", "agent", "session", "reason", "resource")  # what the person who answers reads
Maybe = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ApprovalGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """`id`: of whoever asks; the same one again is the same question. `channel`: of Slack; empty: the owner's."""

    action: Line
    id: Annotated[str, Meta(max_length=128, pattern="^[A-Za-z0-9_-]*$")] = ""
    agent: Maybe = ""
    session: Maybe = ""
    reason: Words = ""
    resource: Annotated[str, Meta(max_length=2048)] = ""
    channel: Annotated[str, Meta(max_length=32, pattern="^([CG][A-Z0-9]{2,30})?$")] = ""
    wait_s: Annotated[float, Meta(gt=0, le=86_400)] = 1800.0


class AnswerGiven(Struct, frozen=True, forbid_unknown_fields=True):
    answer: Literal["approved", "refused"]
    actor: Line
    source: Said = "web"


class Questions(Struct, frozen=True):
    approvals: tuple[Standing, ...]


@post("/v1/approvals", tags=["approvals"], **OF_AGENTS)
async def ask(request: Asked, shop: NamedDependency[Shop], data: JSONBody[ApprovalGiven]) -> Standing:
    """Ask a person. Unanswered it expires, at the latest when the policy says, and nothing is done."""
    now = datetime.now(UTC)
    name = data.id or secrets.token_hex(12)
    lasts = timedelta(seconds=min(data.wait_s, request.app.state.approve_s))
    asked = ApprovalAsked(
        id=name,
        action=data.action,
        at=now,
        until=now + lasts,
        agent=data.agent,
        session=data.session,
        reason=data.reason,
        resource=data.resource,
        channel=data.channel,
    )
    async with shop.connection() as conn:
        found = await question(conn, name)
        if found is None:
            await tell(conn, asked)
            found = await question(conn, name)
    assert found is not None
    if any(getattr(found, one) != getattr(asked, one) for one in ABOUT):
        raise Refused(409, ANOTHER)
    return found


@get("/v1/approvals", tags=["approvals"], operation_class=Documented, **READING)
async def list_approvals(shop: NamedDependency[Shop], pending: FromQuery[bool] = False) -> Questions:
    """Those that wait first, then the newest."""
    async with shop.connection() as conn:
        return Questions(await questions(conn, pending=pending))


@get("/v1/approvals/{approval:str}", tags=["approvals"], operation_class=Documented, **READING)
async def get_approval(
    shop: NamedDependency[Shop],
    waiting: NamedDependency[Waiting],
    approval: FromPath[str],
    wait: Annotated[float, QueryParameter(ge=0, le=WAIT_S_MAX)] = 0.0,
) -> Standing:
    """One question. With `wait` the answer comes as soon as there is one, or after so many seconds."""
    found = await _there(shop, approval)
    if found.state != "pending" or wait <= 0:
        return found
    await waiting.over(approval, wait)
    return await _there(shop, approval)


@post("/v1/approvals/{approval:str}/answer", tags=["approvals"], **WRITING)
async def answer_approval(
    shop: NamedDependency[Shop], approval: FromPath[str], data: JSONBody[AnswerGiven]
) -> Accepted:
    """The first answer counts."""
    return await answered(shop, ApprovalAnswered(approval, data.answer, data.actor, datetime.now(UTC), data.source))


async def _there(shop: Shop, name: str) -> Standing:
    async with shop.connection() as conn:
        found = await question(conn, name)
    if found is None:
        raise Refused(404, NONE)
    return found


async def answered(shop: Shop, said: ApprovalAnswered) -> Accepted:
    async with shop.connection() as conn:
        result = await answer(conn, said)
    if result == "unknown":
        raise Refused(404, NONE)
    if result in OVER and result != said.answer:
        raise Refused(409, OVER[result])
    return Accepted(True, said.id)


HANDLERS = [ask, list_approvals, get_approval, answer_approval]
