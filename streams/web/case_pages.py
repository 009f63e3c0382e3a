"""The page of regression cases, and the forms that say what is expected of one or that it is run no longer."""

from __future__ import annotations

from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from ..learn.cases import casebook
from .answers import Refused
from .cases import Bench, CaseGiven, written
from .forms import FIELD_MAX, Asked, Text, see, shown, signed
from .shop import Shop

SHOWN = 50


@get("/cases", media_type=MediaType.HTML, include_in_schema=False)
async def cases_page(
    request: Asked, shop: NamedDependency[Shop], bench: NamedDependency[Bench], after: Text = "", said: Text = ""
) -> Response[str]:
    async with shop.connection() as conn:
        found = await casebook.cases(conn, casebook.Wanted(), after, SHOWN + 1)
        rows = [await bench.view(conn, one) for one in found[:SHOWN]]
    following = found[SHOWN - 1].id if len(found) > SHOWN else None
    return shown(request, "cases.html", rows=rows, following=following, said=said, where="cases")


@post("/cases/{case:str}", include_in_schema=False)
async def case_form(request: Asked, shop: NamedDependency[Shop], case: FromPath[str]) -> Response[str]:
    visitor, given = await signed(request, shop.keys)
    if given.get("retire"):
        await written(shop, case, CaseGiven(visitor.name, retired=True))
        return see("/cases?said=retired")
    expectation = given.get("expectation", "").strip()[:FIELD_MAX]
    if not expectation:
        raise Refused(422, "Say what is expected first.")
    await written(shop, case, CaseGiven(visitor.name, expectation, given.get("input", "").strip()[:FIELD_MAX] or None))
    return see("/cases?said=expected")


HANDLERS = [cases_page, case_form]
