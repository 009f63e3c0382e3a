"""Rule 3: whether what people took upon themselves covers everything that blocks or holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from ...records import GateInputs, GateValues, Override, Reason
from .overrides import AUTHORS_NOT, TWO_PEOPLE, holds, same

ALONE = frozenset(("kill_switch", "never_override"))  # these end where they were made, and nowhere else
BY_NAME_NOT = frozenset(("incident", "override"))  # covered by the incident's id only
OVERRIDES_MAX = 4
NEED_COVER = ("block", "hold")


class Held(NamedTuple):
    override: Override
    why: str | None  # it does not hold any more; None: it does


def held(values: GateValues, inputs: GateInputs, e_block: float, as_of: datetime) -> list[Held]:
    """All about this very question, the newest first, each with why it does not count."""
    asked = inputs.question
    ours = [
        one
        for one in inputs.overrides
        if (one.gate, one.agent, one.release, one.environment)
        == (values.gate, asked.agent, asked.release, asked.environment)
    ]
    newest = sorted(ours, key=lambda one: (str(one.created_at), one.id), reverse=True)
    return [Held(one, _why(values, inputs, one, e_block, as_of)) for one in newest]


def _why(values: GateValues, inputs: GateInputs, one: Override, e_block: float, as_of: datetime) -> str | None:
    """A date that is malformed or has no offset has passed, and nobody grants more than the policy allows."""
    if any(moment.tzinfo is None for moment in (one.created_at, one.expires_at)):
        return "expired: its date has no offset"
    if as_of >= one.created_at + timedelta(seconds=values.override_s_max):
        return "expired: it has held for as long as any may"
    if one.ended_at is not None and one.ended_at.tzinfo is None:
        return "ended: somebody ended it"
    if not one.reasons or any(letter in name for name in one.reasons for letter in "*?["):
        return "refused: it names no reasons exactly"
    return holds(one, inputs, e_block, as_of)


def marked(reasons: Sequence[Reason], found: Sequence[Held], author: str) -> list[Reason]:
    """Evidence stays as it is: a reason only says besides who took it upon themselves."""
    valid = [one.override for one in found if one.why is None]
    return [_marked(reason, valid, author) for reason in reasons]


def _marked(reason: Reason, valid: Sequence[Override], author: str) -> Reason:
    if reason.effect not in NEED_COVER or reason.rule in ALONE:
        return reason
    by = next((one.id for one in valid if _covers(one, reason) and _may(one, reason, author)), None)
    return reason if by is None else replace(reason, detail={**reason.detail, "overridden_by": by})


def _covers(one: Override, reason: Reason) -> bool:
    named = reason.detail.get("incident") in one.reasons
    return named or (reason.rule not in BY_NAME_NOT and reason.rule in one.reasons)


def _may(one: Override, reason: Reason, author: str) -> bool:
    """What is critical and what breaks a freeze takes two people; who made the release asks for no incident of it."""
    two = reason.rule in TWO_PEOPLE or reason.detail.get("severity") == "critical"
    if two and (not one.approved_by or same(one.approved_by, one.requested_by)):
        return False
    about = "incident" in reason.detail or reason.rule in AUTHORS_NOT
    return not (about and author and same(author, one.requested_by))


def covered(reasons: Sequence[Reason]) -> bool:
    """Whether there is something to cover, and all of it is."""
    open_ = [reason for reason in reasons if reason.effect in NEED_COVER]
    return bool(open_) and all("overridden_by" in reason.detail for reason in open_)


def listed(found: Sequence[Held]) -> tuple[dict[str, Any], ...]:
    """Those that hold first."""
    ordered = sorted(found, key=lambda one: one.why is not None)
    return tuple(_listed(one) for one in ordered[:OVERRIDES_MAX])


def _listed(one: Held) -> dict[str, Any]:
    given = one.override
    return {
        "id": given.id,
        "reasons": list(given.reasons[:OVERRIDES_MAX]),
        "requested_by": given.requested_by,
        "approved_by": given.approved_by,
        "expires_at": given.expires_at.isoformat(),
        "valid": one.why is None,
        **({"why": one.why} if one.why else {}),
    }
