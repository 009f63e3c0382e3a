"""The page of questions that wait for a person, and the form that holds an incident's agents back."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from ..learn.controls.questions import questions
from ..learn.controls.reach import affected
from ..learn.recording import tell
from ..records import ApprovalAnswered, Incident
from ..records.choices import Choice, Said, choices, chosen, control_asked
from .answers import Refused
from .asking import answered
from .forms import Asked, Text, see, shown, signed
from .rendering import place
from .shop import Shop

LIVE = ("open", "acknowledged", "mitigated")
LABELS = {
    "pause_release": "Pause the release",
    "pause": "Pause the agent",
    "throttle": "Throttle the agent",
    "deny_tool": "Deny the tool",
}


@get("/approvals", media_type=MediaType.HTML, include_in_schema=False)
async def approvals_page(request: Asked, shop: NamedDependency[Shop], said: Text = "") -> Response[str]:
    async with shop.connection() as conn:
        rows = await questions(conn, pending=False)
    return shown(request, "approvals.html", rows=rows, said=said, where="approvals")


@post("/approvals/{approval:str}/answer", include_in_schema=False)
async def answer_form(request: Asked, shop: NamedDependency[Shop], approval: FromPath[str]) -> Response[str]:
    visitor, given = await signed(request, shop.keys)
    now = datetime.now(UTC)
    match given.get("answer"):
        case "approved" | "refused" as said:
            await answered(shop, ApprovalAnswered(approval, said, visitor.name, now, "web"))
        case _:
            raise Refused(422, "Choose an answer first.")
    return see("/approvals?said=answered")


@post("/incidents/{incident:str}/control", include_in_schema=False)
async def control_form(request: Asked, shop: NamedDependency[Shop], incident: FromPath[str]) -> Response[str]:
    """Sure: the form has a box of its own to tick, which says whom it hits."""
    visitor, given = await signed(request, shop.keys)
    one = (await shop.incident(incident)).incident
    choice = chosen(one, given.get("control", ""))
    if choice is None or one.stage not in LIVE:
        raise Refused(422, "Choose what is to be done; of an incident that is over nothing is.")
    if given.get("sure") != "yes":
        raise Refused(422, "Nothing was done: tick the box that says you have read whom it hits.")
    now = datetime.now(UTC)
    until = now + timedelta(seconds=request.app.state.person_s)
    async with shop.connection() as conn:
        share = await affected(conn, choice.scope)
        said = Said(f"web-{secrets.token_hex(8)}", visitor.name, "web", now, until, share)
        await tell(conn, control_asked(choice, one, said))
    return see(f"/incidents/{place(incident)}?said=control")


async def offered(shop: Shop, one: Incident) -> tuple[tuple[str, str, str], ...]:
    """(name, label, whom it hits) for the incident's page."""
    if one.stage not in LIVE:
        return ()
    found = []
    async with shop.connection() as conn:
        for choice in choices(one):
            share = await affected(conn, choice.scope)
            found.append((choice.name, LABELS[choice.name], _hits(choice, share)))
    return tuple(found)


def _hits(choice: Choice, share: float | None) -> str:
    scope = choice.scope
    whose = scope.agent or "every agent"
    if choice.name == "deny_tool":
        return f"every call of {scope.id} by {whose}"
    known = f"{share:.0%} of its sessions in the last hour" if share is not None else "how many sessions is not known"
    whom = f"{whose} {scope.id}" if scope.kind == "release" else f"{whose}, every release"
    return f"a part of {whom}: {known}" if choice.name == "throttle" else f"{whom}: {known}"


HANDLERS = [approvals_page, answer_form, control_form]
