"""The pages. A form needs a cookie that the token gave, and a value that only our own page knows."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from ..records import Acknowledgement, GateQuestion, Outcome, OutcomeValue
from . import asking_pages, people_pages
from .answers import Refused
from .forms import FIELD_MAX, Asked, Text, inside, see, shown, signed
from .gatehouse import CannotAnswer
from .guard import COOKIE, NAME_MAX, SIGNED_IN_S, same_site
from .policies import changes
from .reading import Wanted, listed
from .rendering import place
from .shop import Shop

PAGE_ROWS = 50
PAGES_MAX = 200
GATES_MAX = 200
POLICIES_SHOWN = 10
OUTCOMES: dict[OutcomeValue, str] = {
    "fixed": "Fixed: the cause is gone in a newer release",
    "false_positive": "False positive: nothing was wrong",
    "accepted_risk": "Accepted risk: we live with it for now",
    "wont_fix": "Won't fix",
    "external_cause": "External cause: a provider or dependency",
    "duplicate": "Duplicate of another incident",
    "cannot_reproduce": "Cannot reproduce",
}


@get("/", media_type=MediaType.HTML, include_in_schema=False)
async def incidents_page(
    request: Asked,
    shop: NamedDependency[Shop],
    wanted: NamedDependency[Wanted],
    number: Annotated[int, QueryParameter(name="page", ge=1, le=PAGES_MAX)] = 1,
) -> Response[str]:
    async with shop.connection() as conn:
        rows, more = await listed(conn, wanted, PAGE_ROWS, (number - 1) * PAGE_ROWS)
    filters = {key: value for key, value in wanted._asdict().items() if value}
    links = {n: "?" + urlencode({**filters, "page": n}) for n in (number - 1, number + 1)}
    return shown(
        request,
        "incidents.html",
        rows=rows,
        filters=wanted,
        filtered=bool(filters),
        before=links[number - 1] if number > 1 else None,
        after=links[number + 1] if more and number < PAGES_MAX else None,
        watermark=shop.gatehouse.watermark,
        where="incidents",
    )


def filters(stage: Text = "", agent: Text = "", owner: Text = "", severity: Text = "") -> Wanted:
    """As an HTML form sends them: an empty field is no filter, a strange one matches nothing."""
    return Wanted(*(one.replace("\0", "") or None for one in (stage, agent, owner, severity)))


@get("/incidents", include_in_schema=False)
async def incidents_address() -> Response[str]:
    return see("/")


@get("/incidents/{incident:str}", media_type=MediaType.HTML, include_in_schema=False)
async def incident_page(
    request: Asked, shop: NamedDependency[Shop], incident: FromPath[str], said: Text = ""
) -> Response[str]:
    found = await shop.incident(incident)
    return shown(
        request,
        "incident.html",
        found=found,
        one=found.incident,
        outcomes=OUTCOMES,
        controls=await asking_pages.offered(shop, found.incident),
        holds_s=request.app.state.person_s,
        said=said,
        where="incidents",
    )


@post("/incidents/{incident:str}/acknowledge", include_in_schema=False)
async def acknowledge_form(request: Asked, shop: NamedDependency[Shop], incident: FromPath[str]) -> Response[str]:
    visitor, _ = await signed(request, shop.keys)
    await shop.tell(Acknowledgement(incident, datetime.now(UTC), visitor.name, "web"))
    return see(f"/incidents/{place(incident)}?said=acknowledged")


@post("/incidents/{incident:str}/outcome", include_in_schema=False)
async def outcome_form(request: Asked, shop: NamedDependency[Shop], incident: FromPath[str]) -> Response[str]:
    visitor, given = await signed(request, shop.keys)
    chosen = next((one for one in OUTCOMES if one == given.get("outcome")), None)
    if chosen is None and given.get("outcome") != "reopen":
        raise Refused(422, "Choose an outcome first.")
    fixed_in = given.get("fixed_in", "").strip()[:256] if chosen == "fixed" else ""
    reason, now = given.get("reason", "").strip()[:FIELD_MAX] or None, datetime.now(UTC)
    reopened = chosen is None
    await shop.decide(
        Outcome(incident, chosen or "unspecified", now, visitor.name, "web", fixed_in or None, reason, reopened)
    )
    return see(f"/incidents/{place(incident)}?said={'reopened' if reopened else 'decided'}")


@get("/gates", media_type=MediaType.HTML, include_in_schema=False)
async def gates_page(
    request: Asked, shop: NamedDependency[Shop], agent: Text = "", release: Text = "", environment: Text = "prod"
) -> Response[str]:
    house = shop.gatehouse
    asked = None
    try:
        if agent and release:
            question = GateQuestion(agent, release, environment or "prod")
            asked = [house.decide(name, question)[0] for name in sorted(house.gates)]
    except CannotAnswer:
        asked = None
    return shown(
        request,
        "gates.html",
        decisions=house.overview(GATES_MAX),
        asked=asked,
        form={"agent": agent, "release": release, "environment": environment},
        read_at=house.read_at,
        where="gates",
    )


@get("/health", media_type=MediaType.HTML, include_in_schema=False)
async def health_page(request: Asked, shop: NamedDependency[Shop]) -> Response[str]:
    async with shop.connection() as conn:
        policies = await changes(conn, POLICIES_SHOWN)
    return shown(request, "health.html", found=await shop.health(), policies=policies, where="health")


@get("/token", media_type=MediaType.HTML, include_in_schema=False)
async def token_page(request: Asked, shop: NamedDependency[Shop], to: Text = "/") -> Response[str]:
    return shown(request, "token.html", to=inside(to), usable=shop.keys.usable, wrong=False, where="token")


@post("/token", media_type=MediaType.HTML, include_in_schema=False)
async def token_form(request: Asked, shop: NamedDependency[Shop]) -> Response[str]:
    if not same_site(request.headers):
        raise Refused(403, "This form was sent from another site.")
    given = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
    to, name = inside(given.get("to", "/")), given.get("name", "").strip()[:NAME_MAX]
    if not name or not shop.keys.opens(given.get("token", "").strip()):
        again = shown(request, "token.html", to=to, usable=shop.keys.usable, wrong=True, where="token")
        again.status_code = 401
        return again
    answer = see(to)
    cookie = shop.keys.cookie(name, time.time())
    secure = request.app.state.secure
    answer.set_cookie(COOKIE, cookie, max_age=SIGNED_IN_S, httponly=True, samesite="strict", secure=secure)
    return answer


@post("/token/forget", include_in_schema=False)
async def forget_form(request: Asked, shop: NamedDependency[Shop]) -> Response[str]:
    await signed(request, shop.keys)
    answer = see("/")
    answer.delete_cookie(COOKIE)
    return answer


HANDLERS = [
    incidents_page,
    incidents_address,
    incident_page,
    acknowledge_form,
    outcome_form,
    gates_page,
    health_page,
    token_page,
    token_form,
    forget_form,
    *people_pages.HANDLERS,
    *asking_pages.HANDLERS,
]
