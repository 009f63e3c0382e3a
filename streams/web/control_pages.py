"""The page of controls: whom is held back, by whom and until when; and the form to do it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency

from ..records import Control, ControlWant
from .answers import Refused
from .control_documents import ControlGiven
from .control_room import ControlRoom
from .forms import FIELD_MAX, Asked, Text, see, shown, signed

LASTING = {"1h": 3600, "30m": 1800, "4h": 14_400, "1d": 86_400, "7d": 604_800, "until it is lifted": None}
WANTS: dict[ControlWant, str] = {
    "pause": "Pause: no session goes on",
    "throttle": "Throttle: a share of the sessions is held back",
    "deny_tool": "Deny tools",
    "force_open": "Stop hard: a pause that no detector's trial opens",
    "measure": "Only measure: count what would be held back, hold nothing back",
    "disable": "Switch automatic controls off here",
    "close": "Lift everything: they go ahead",
}
CHANGES_SHOWN = 50
NAME_MAX = 256


@get("/controls", media_type=MediaType.HTML, include_in_schema=False)
async def controls_page(  # noqa: PLR0917 - a query's parameters
    request: Asked,
    room: NamedDependency[ControlRoom],
    said: Text = "",
    agent: Text = "",
    release: Text = "",
    tool: Text = "",
) -> Response[str]:
    """`agent`, `release` and `tool` fill the form in."""
    known = await room.known()
    shares = await room.shares([one.scope for one in known.controls])
    words: Callable[[Control], str] = request.app.state.control_words
    rows = [(one, words(one), shares[one.scope.key]) for one in known.controls]
    return shown(
        request,
        "controls.html",
        rows=rows,
        stale=known.stale,
        changes=[(one, words(one.control)) for one in await room.changes(None, CHANGES_SHOWN)],
        said=said,
        given={"agent": agent, "release": release, "tool": tool},
        wants=[(name, WANTS[name]) for name in get_args(ControlWant)],
        lasting=list(LASTING),
        where="controls",
    )


@post("/controls", media_type=MediaType.HTML, include_in_schema=False)
async def control_form(request: Asked, room: NamedDependency[ControlRoom]) -> Response[str]:
    visitor, given = await signed(request, room.keys)
    taken = await room.ask(_given(given, visitor.name))
    share = "unknown" if taken.affected is None else f"{taken.affected:.0%}"
    return see(f"/controls?said={share.replace('%', '%25')}")


def _given(form: dict[str, str], actor: str) -> ControlGiven:
    """The most exact scope that its fields name."""
    want, scope = form.get("want", ""), _scope(form)
    tools = [one.strip() for one in form.get("tool", "").split(",") if one.strip()]
    asked: dict[str, Any] = {
        "scope": scope,
        "want": want,
        "reason": form.get("reason", "").strip()[:FIELD_MAX],
        "actor": actor,
        "for_s": LASTING.get(form.get("lasting", "")) if want != "close" else None,
        "incident": form.get("incident", ""),
    }
    if want == "throttle" and form.get("ratio"):
        asked["ratio"] = _share(form["ratio"])
    if want == "deny_tool" and scope["kind"] not in ("tool", "agent_tool"):
        asked["tools"] = tools
    try:
        return msgspec.convert({key: value for key, value in asked.items() if value is not None}, ControlGiven)
    except msgspec.ValidationError as error:
        raise Refused(422, f"The form is not complete: {error}") from None


def _scope(form: dict[str, str]) -> dict[str, str]:
    agent, release, tool, tenant = (
        form.get(name, "").strip()[:NAME_MAX] for name in ("agent", "release", "tool", "tenant")
    )
    several = "," in tool
    if tenant:
        return {"kind": "tenant", "id": tenant}
    if release:
        return {"kind": "release", "agent": agent, "id": release}
    if tool and not several:
        return {"kind": "agent_tool", "agent": agent, "id": tool} if agent else {"kind": "tool", "id": tool}
    if agent:
        return {"kind": "agent", "agent": agent}
    if form.get("everybody") != "yes":
        raise Refused(422, "Say whom: an agent, a release, a tool or a tenant; or tick that all agents are meant.")
    return {"kind": "global"}


def _share(text: str) -> float:
    try:
        return float(text.strip().rstrip("%")) / 100
    except ValueError:
        raise Refused(422, "The share is a number of percent.") from None


HANDLERS = [controls_page, control_form]
