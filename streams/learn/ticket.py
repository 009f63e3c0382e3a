"""A ticket as learn knows it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from ..records import OutcomeValue


class TicketRead(Struct, frozen=True):
    """A ticket as the tracker showed it."""

    id: str
    key: str
    done: bool  # its status is of the category done
    status: str = ""
    resolution: str | None = None
    outcome: str | None = None  # the field "Outcome", where the tracker has one
    fix_versions: tuple[str, ...] = ()
    updated: str = ""


class Known(Struct, frozen=True):
    """What we believed about the ticket before, and what somebody said elsewhere (in Slack, on the page)."""

    done: bool = False
    outcome: OutcomeValue | None = None
    fixed_in: str | None = None
    elsewhere: bool = False


class Mover(Struct, frozen=True):
    """Who moved the ticket last, as far as the tracker says, and when: otherwise when it was read."""

    name: str
    at: datetime
