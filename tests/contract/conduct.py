"""What makes an event one that detectors of conduct care for: now and then, told by its time, not by the dice of others."""

from __future__ import annotations

from random import Random
from typing import Any

import builders as b

from streams import records as r

DECLARED: dict[str, Any] = {"tools": ["search"], "expected_tools": ["book"], "expected_effects": ["book"]}
REQUESTS = ("p-one", "p-two")


def of_call(at: float) -> dict[str, Any]:
    """One call in ten does something for good, some to customer data, some naming a permission."""
    chance = Random(f"call {at}")
    if chance.random() >= 0.1:
        return {}
    customer = chance.random() < 0.3
    return {
        "effect": r.Effect("mail", target=f"crm:{at:g}", reversible=False, customer_data=customer),
        "resources": [r.Resource(f"file:///srv/{at:g}/{n}", "write") for n in range(4)],
        "permission_id": chance.choice((None, *REQUESTS)),
    }


def of_permission(at: float) -> dict[str, Any]:
    chance = Random(f"permission {at}")
    return {"request_id": chance.choice(REQUESTS)} if chance.random() < 0.3 else {}


def checkpoint(chance: Random, at: float, who: dict[str, Any]) -> r.CheckpointRecorded:
    """Few are made, and few restored; some of those were never made, or could not be restored."""
    op = chance.choice(("create", *9 * ("discard",)))
    own = Random(f"checkpoint {at}")
    if op == "discard" and own.random() < 0.15:
        lost, name = own.choice((None, ["file:///srv/a"])), own.choice(("c-made", "c-never"))
        return b.checkpoint_recorded(at, op="restore", checkpoint_id=name, unrecoverable=lost, **who)
    named = {"checkpoint_id": "c-made"} if op == "create" else {}
    return b.checkpoint_recorded(at, op=op, **named, **who)
