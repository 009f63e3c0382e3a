"""The forms for how an incident ended, and for standing by it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from ..records import OutcomeValue
from .answers import Refused
from .forms import FIELD_MAX, Asked, see, signed
from .outcome_documents import OutcomeGiven
from .outcomes import GOES_WITH, confirmed, decided, meant
from .rendering import place
from .shop import Shop

OUTCOMES: dict[OutcomeValue, str] = {
    "fixed": "Fixed: the cause is gone in a newer release",
    "false_positive": "False positive: nothing was wrong",
    "accepted_risk": "Accepted risk: we live with it for now",
    "wont_fix": "Won't fix",
    "external_cause": "External cause: a provider or dependency",
    "duplicate": "Duplicate of another incident",
    "cannot_reproduce": "Cannot reproduce",
}
VALUE_MAX = 256
NAME = "/incidents/{incident:str}"


@post(f"{NAME}/outcome", include_in_schema=False)
async def outcome_form(request: Asked, shop: NamedDependency[Shop], incident: FromPath[str]) -> Response[str]:
    visitor, given = await signed(request, shop.keys)
    chosen = next((one for one in OUTCOMES if one == given.get("outcome")), None)
    reopened = given.get("outcome") == "reopen"
    if chosen is None and not reopened:
        raise Refused(422, "Choose an outcome first.")
    asked: dict[str, Any] = {"outcome": chosen or "unspecified", "actor": visitor.name, "reopened": reopened}
    asked["reason"] = given.get("reason", "").strip()[:FIELD_MAX] or None
    asked |= {name: _value(name, given) for name, outcomes in GOES_WITH.items() if chosen in outcomes}
    try:
        outcome = meant(incident, msgspec.convert(asked, OutcomeGiven), datetime.now(UTC))
    except msgspec.ValidationError as error:
        raise Refused(422, f"The form is not complete: {error}") from None
    await decided(shop, outcome)
    return see(f"/incidents/{place(incident)}?said={'reopened' if reopened else 'decided'}")


@post(f"{NAME}/confirm", include_in_schema=False)
async def confirm_form(request: Asked, shop: NamedDependency[Shop], incident: FromPath[str]) -> Response[str]:
    visitor, _ = await signed(request, shop.keys)
    await confirmed(shop, (incident,), visitor.name, "web")
    return see(f"/incidents/{place(incident)}?said=confirmed")


def _value(name: str, given: dict[str, str]) -> Any:
    """An empty field says nothing. A day lasts until its end."""
    text = given.get(name, "").strip()[:VALUE_MAX]
    if not text or name not in ("expires_at", "review_at"):
        return text or None
    try:
        return datetime.combine(datetime.fromisoformat(text), time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise Refused(422, f"{text[:40]} is no day.") from None


HANDLERS = [outcome_form, confirm_form]
