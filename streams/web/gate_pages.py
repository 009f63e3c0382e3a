"""The pages of gates: what each answers and why, what it answered before, and what people say to it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from ..records import GateQuestion
from .answers import Refused
from .forms import FIELD_MAX, Asked, Text, see, shown, signed
from .gate_answers import Archive
from .gate_desk import GateDesk
from .gate_documents import FreezeGiven, OverrideGiven
from .gatehouse import CannotAnswer
from .rendering import place
from .shop import Shop

LASTING = {"2h": 7200, "8h": 28_800, "1d": 86_400, "3d": 259_200, "7d": 604_800}
HISTORY_MAX = 20
DAYS = 30
FORM_FIELD_MAX = 256


class Form(NamedTuple):
    """What a form of a question holds: an empty field is no answer."""

    agent: str
    release: str
    environment: str

    @property
    def question(self) -> GateQuestion | None:
        return GateQuestion(*self) if self.agent and self.release else None


def form(agent: Text = "", release: Text = "", environment: Text = "prod") -> Form:
    return Form(agent, release, environment or "prod")


FORM = {"form": Provide(form, sync_to_thread=False)}


@get("/gates", media_type=MediaType.HTML, include_in_schema=False, dependencies=FORM)
async def gates_page(  # noqa: PLR0917 - a query's parameters
    request: Asked,
    shop: NamedDependency[Shop],
    archive: NamedDependency[Archive],
    desk: NamedDependency[GateDesk],
    form: NamedDependency[Form],
    said: Text = "",
) -> Response[str]:
    house, asked = shop.gatehouse, None
    try:
        if form.question:
            asked = [archive.now(name, form.question) for name in sorted(house.gates)]
    except CannotAnswer:
        asked = None
    return shown(
        request,
        "gates.html",
        rows=await archive.gates(),
        asked=asked,
        form=form,
        read_at=house.read_at,
        overrides=await desk.overrides(active=True),
        freezes=await desk.freezes(),
        said=said,
        where="gates",
    )


@get("/gates/{gate:str}", media_type=MediaType.HTML, include_in_schema=False, dependencies=FORM)
async def gate_page(  # noqa: PLR0917 - a query's parameters
    request: Asked,
    archive: NamedDependency[Archive],
    desk: NamedDependency[GateDesk],
    gate: FromPath[str],
    form: NamedDependency[Form],
    said: Text = "",
) -> Response[str]:
    """Without a release it is the list."""
    if form.question is None:
        return see("/gates")
    try:
        found = archive.now(gate, form.question)
    except CannotAnswer:
        raise Refused(503, "The gates have not read their inputs yet. Nothing is let through until then.") from None
    one = found.decision
    asked = {"gate": gate, "agent": one.agent, "release": one.release, "environment": one.environment}
    told = [given for given in await desk.overrides() if _about(given.override, asked)]
    return shown(
        request,
        "gate.html",
        found=found,
        one=one,
        asked=asked,
        history=(await archive.decisions(HISTORY_MAX, **asked)).decisions,
        overrides=told,
        coverable=_coverable(found),
        lasting=list(LASTING),
        said=said,
        where="gates",
    )


@get("/decisions/{decision:str}", media_type=MediaType.HTML, include_in_schema=False)
async def decision_page(request: Asked, archive: NamedDependency[Archive], decision: FromPath[str]) -> Response[str]:
    replayed = await archive.replayed(decision)
    found = archive.told(replayed.stored)
    return shown(request, "decision.html", found=found, one=found.decision, replayed=replayed, where="gates")


@get("/reports/gates", media_type=MediaType.HTML, include_in_schema=False)
async def report_page(request: Asked, archive: NamedDependency[Archive]) -> Response[str]:
    report, review = await archive.report(DAYS), await archive.review(DAYS)
    return shown(request, "gate_report.html", report=report, review=review, where="gates")


@get("/overrides/{override:str}", include_in_schema=False)
async def override_address(desk: NamedDependency[GateDesk], override: FromPath[str]) -> Response[str]:
    """Where it stands: on the page of its gate and release."""
    found = await desk.override(override)
    return see(_page(found.override, "") + f"#{place(override)}")


@post("/gates/{gate:str}/override", include_in_schema=False)
async def override_form(request: Asked, desk: NamedDependency[GateDesk], gate: FromPath[str]) -> Response[str]:
    visitor, given = await signed(request, desk.keys)
    covers = [line.strip() for line in given.get("reasons", "").splitlines() if line.strip()]
    asked = {
        "gate": gate,
        **{
            name: given.get(name, "").strip()[:FORM_FIELD_MAX] for name in ("agent", "release", "environment", "ticket")
        },
        "reasons": covers,
        "reason": given.get("reason", "").strip()[:FIELD_MAX],
        "actor": visitor.name,
        "for_s": LASTING.get(given.get("lasting", "")),
        "single_use": given.get("single_use") == "yes",
    }
    try:
        body = msgspec.convert(asked, OverrideGiven)
    except msgspec.ValidationError as error:
        raise Refused(422, f"The form is not complete: {error}") from None
    await desk.ask(body)
    return see(_page(body, "asked"))


@post("/overrides/{override:str}/approve", include_in_schema=False)
async def approve_form(request: Asked, desk: NamedDependency[GateDesk], override: FromPath[str]) -> Response[str]:
    visitor, _ = await signed(request, desk.keys)
    found = await desk.override(override)
    await desk.approve(override, visitor.name)
    return see(_page(found.override, "approved"))


@post("/overrides/{override:str}/end", include_in_schema=False)
async def end_override_form(request: Asked, desk: NamedDependency[GateDesk], override: FromPath[str]) -> Response[str]:
    visitor, _ = await signed(request, desk.keys)
    found = await desk.override(override)
    await desk.end(override, visitor.name)
    return see(_page(found.override, "ended"))


@post("/freezes", include_in_schema=False)
async def freeze_form(request: Asked, desk: NamedDependency[GateDesk]) -> Response[str]:
    visitor, given = await signed(request, desk.keys)
    texts = {name: given.get(name, "").strip()[:64] for name in ("begins", "ends", "timezone")}
    lists = {name: given.get(name, "").split() or ["*"] for name in ("agents", "environments")}
    exempt = "fixes" if given.get("exempt") == "fixes" else "none"
    try:
        body = msgspec.convert(
            {**texts, **lists, "reason": given.get("reason", "").strip(), "actor": visitor.name, "exempt": exempt},
            FreezeGiven,
        )
    except msgspec.ValidationError as error:
        raise Refused(422, f"The form is not complete: {error}") from None
    await desk.freeze(body)
    return see("/gates?said=frozen")


@post("/freezes/{freeze:str}/end", include_in_schema=False)
async def end_freeze_form(request: Asked, desk: NamedDependency[GateDesk], freeze: FromPath[str]) -> Response[str]:
    await signed(request, desk.keys)
    await desk.end_freeze(freeze)
    return see("/gates?said=ended")


def _about(override: object, asked: dict[str, str]) -> bool:
    return all(getattr(override, name) == value for name, value in asked.items())


def _coverable(found: object) -> list[str]:
    """What an override would have to name: all that blocks or holds and that nobody has set aside."""
    rules = getattr(found, "rules", ())
    names = [
        str(why.detail.get("incident") or rule.rule)
        for rule in rules
        if rule.overridable
        for why in rule.reasons
        if why.effect in ("block", "hold") and "overridden_by" not in why.detail
    ]
    return list(dict.fromkeys(names))


def _page(one: object, said: str) -> str:
    query = {name: getattr(one, name) for name in ("agent", "release", "environment")}
    return f"/gates/{place(getattr(one, 'gate', ''))}?{urlencode({**query, **({'said': said} if said else {})})}"


HANDLERS = [
    gates_page,
    gate_page,
    decision_page,
    report_page,
    override_address,
    override_form,
    approve_form,
    end_override_form,
    freeze_form,
    end_freeze_form,
]
