"""The pages. A form needs a cookie that the token gave, and a value that only our own page knows."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, get_args
from urllib.parse import urlencode

from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from ..records import Acknowledgement, Cause, FalseWhy
from . import asking_pages, case_pages, gate_pages, outcome_pages, people_pages
from .answers import Refused
from .forms import Asked, Text, inside, see, shown, signed
from .guard import COOKIE, NAME_MAX, SIGNED_IN_S, same_site
from .outcome_pages import OUTCOMES
from .policies import changes
from .reading import Wanted, listed
from .rendering import place
from .shop import Shop

PAGE_ROWS = 50
PAGES_MAX = 200
POLICIES_SHOWN = 10


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
        causes=get_args(Cause),
        whys=get_args(FalseWhy),
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
    *outcome_pages.HANDLERS,
    *gate_pages.HANDLERS,
    health_page,
    token_page,
    token_form,
    forget_form,
    *people_pages.HANDLERS,
    *asking_pages.HANDLERS,
    *case_pages.HANDLERS,
]
