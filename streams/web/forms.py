"""Forms and what they answer: who sent it is sure, and reloading the page afterwards does not send it again."""

from __future__ import annotations

import time
from typing import Annotated, Any
from urllib.parse import quote

from litestar import MediaType, Request, Response
from litestar.params import QueryParameter

from .answers import Refused
from .guard import COOKIE, Keys, Visitor, same_site
from .rendering import page

Asked = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=256)]
FIELD_MAX = 2000


def visitor_of(request: Asked) -> Visitor | None:
    found: Visitor | None = request.app.state.door.visitor(request.cookies.get(COOKIE), time.time())
    return found


async def signed(request: Asked, keys: Keys) -> tuple[Visitor, dict[str, str]]:
    """Who sent it and what it says, once it is sure that they meant to."""
    visitor = visitor_of(request)
    if visitor is None:
        raise Refused(401, "You are not signed in, or no longer. Go to /token first.")
    given = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
    if not same_site(request.headers) or not keys.accepts(visitor, given.get("form", "")):
        raise Refused(403, "This form was sent from another site, or is too old. Load the page again.")
    return visitor, given


def shown(request: Asked, template: str, **values: Any) -> Response[str]:
    visitor = visitor_of(request)
    form = request.app.state.door.form(visitor) if visitor else ""
    here = quote(request.url.path, safe="/") + (f"?{request.url.query}" if request.url.query else "")
    text = page(template, visitor=visitor, form_value=form, sign_in=f"/token?to={quote(here, safe='')}", **values)
    return Response(text, media_type=MediaType.HTML)


def see(path: str) -> Response[str]:
    """See other: reloading the page afterwards does not send the form again."""
    return Response("", status_code=303, headers={"Location": path})


def inside(path: str) -> str:
    """A path on this server, never an address elsewhere; a header takes ASCII only."""
    known = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if known and path.isascii() and path.isprintable() else "/"
