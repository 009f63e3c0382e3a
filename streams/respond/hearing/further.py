"""Presses that are no news of an incident: the answer to a question, and what is to be done to agents."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from ...database import Connection
from ...learn.controls.questions import answer
from ...learn.controls.reach import affected
from ...learn.recording import tell
from ...records import ApprovalAnswered, Incident
from ...records.choices import CHOICES, Said, chosen, control_asked
from .clicks import SOURCE, Click

APPROVAL = "approval:"
ANSWERS: dict[str, Literal["approved", "refused"]] = {"approve": "approved", "refuse": "refused"}
ACTIONS = frozenset((*ANSWERS, *CHOICES))
UNKNOWN = "This is not known any more; nothing was changed."
OVER = {
    "approved": "Somebody has approved it already.",
    "refused": "Somebody has refused it already.",
    "expired": "It has expired; nothing is done.",
    "unknown": UNKNOWN,
}
NOBODY = "The incident no longer says whom that is about; nothing was changed."


async def heard(conn: Connection, click: Click, at: datetime, hold_s: float) -> tuple[str, str]:
    """What became of it, and what the person is told. Within the caller's transaction."""
    if click.action in ANSWERS:
        said = ApprovalAnswered(
            click.incident.removeprefix(APPROVAL),
            ANSWERS[click.action],
            click.name,
            at,
            SOURCE,
        )
        result = await answer(conn, said)
        return ("heard", "") if result == "heard" else ("late", OVER.get(result, UNKNOWN))
    row = await (await conn.execute("SELECT body::text FROM incidents WHERE id = %s", [click.incident])).fetchone()
    if row is None:
        return "unknown", UNKNOWN
    incident = msgspec.json.decode(row[0], type=Incident)
    choice = chosen(incident, click.action)
    if choice is None:
        return "unknown", NOBODY
    name = f"slack-{hashlib.blake2b(click.key.encode(), digest_size=8).hexdigest()}"
    until, share = at + timedelta(seconds=hold_s), await affected(conn, choice.scope)
    await tell(conn, control_asked(choice, incident, Said(name, click.name, SOURCE, at, until, share)))
    return "heard", ""
