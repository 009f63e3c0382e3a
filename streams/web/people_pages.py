"""The forms beside an incident, and the page of silences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from ..records import MATCHERS, SCOPES, Assignment, Merge, SilenceKind, Split
from .answers import Refused
from .documents import SilenceGiven
from .forms import FIELD_MAX, Asked, Text, see, shown, signed
from .people import meant
from .rendering import place
from .shop import Shop

NAME_MAX = 256
LASTING = {"30m": 1800, "2h": 7200, "8h": 28_800, "1d": 86_400, "7d": 604_800, "30d": 2_592_000}
NAME = "/incidents/{incident:str}"


@post(f"{NAME}/assign", include_in_schema=False)
async def assign_form(request: Asked, shop: NamedDependency[Shop], incident: FromPath[str]) -> Response[str]:
    visitor, given = await signed(request, shop.keys)
    to = given.get("to", "").strip()[:NAME_MAX]
    if not to:
        raise Refused(422, "Say to whom.")
    await shop.tell(Assignment(incident, to, datetime.now(UTC), visitor.name, "web"))
    return _back(incident, "assigned")


@post(f"{NAME}/split", include_in_schema=False)
async def split_form(request: Asked, shop: NamedDependency[Shop], incident: FromPath[str]) -> Response[str]:
    visitor, given = await signed(request, shop.keys)
    reason = given.get("reason", "").strip()[:FIELD_MAX]
    await shop.tell(Split(incident, datetime.now(UTC), visitor.name, "web", reason))
    return _back(incident, "split")


@post(f"{NAME}/merge", include_in_schema=False)
async def merge_form(request: Asked, shop: NamedDependency[Shop], incident: FromPath[str]) -> Response[str]:
    visitor, given = await signed(request, shop.keys)
    parent = given.get("parent", "").strip()[:NAME_MAX]
    await shop.merge(Merge(incident, parent, datetime.now(UTC), visitor.name, "web"))
    return _back(incident, "merged")


@get("/silences", media_type=MediaType.HTML, include_in_schema=False)
async def silences_page(
    request: Asked, shop: NamedDependency[Shop], said: Text = "", incident: Text = ""
) -> Response[str]:
    """`incident` fills the form in."""
    return shown(
        request,
        "silences.html",
        rows=await shop.silences(),
        said=said,
        matchers=f"incident={incident}" if incident else "",
        known=MATCHERS,
        scopes=sorted(SCOPES),
        kinds=get_args(SilenceKind),
        lasting=list(LASTING),
        warning=None,
        where="silences",
    )


@post("/silences", media_type=MediaType.HTML, include_in_schema=False)
async def silence_form(request: Asked, shop: NamedDependency[Shop]) -> Response[str]:
    visitor, given = await signed(request, shop.keys)
    asked = {
        "matchers": _matchers(given.get("matchers", "")),
        "reason": given.get("reason", "").strip(),
        "actor": visitor.name,
        "for_s": LASTING.get(given.get("lasting", "")),
        "kind": given.get("kind", "silence"),
    }
    try:
        silence = meant(msgspec.convert(asked, SilenceGiven), datetime.now(UTC))
    except msgspec.ValidationError as error:
        raise Refused(422, f"The form is not complete: {error}") from None
    taken = await shop.silence(silence)
    return see(f"/silences?said={'critical' if taken.critical else 'taken'}")


@post("/silences/{silence_id:str}/end", include_in_schema=False)
async def end_silence_form(request: Asked, shop: NamedDependency[Shop], silence_id: FromPath[str]) -> Response[str]:
    await signed(request, shop.keys)
    await shop.end_silence(silence_id)
    return see("/silences?said=ended")


def _matchers(text: str) -> dict[str, str]:
    """One `name=value` a line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if wrong := [line for line in lines if "=" not in line]:
        raise Refused(422, f"This is no matcher, write name=value: {wrong[0][:100]}")
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition("=") for line in lines)]
    if twice := [name for place, (name, _) in enumerate(pairs) if name in dict(pairs[:place])]:
        raise Refused(422, f"{twice[0][:100]} is there twice, and all matchers must match: make two silences.")
    return dict(pairs)


def _back(incident: str, said: str) -> Response[str]:
    return see(f"/incidents/{place(incident)}?said={said}")


HANDLERS = [assign_form, split_form, merge_form, silences_page, silence_form, end_silence_form]
