"""A ticket as learn knows it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from msgspec import Struct

from ...records import OutcomeValue

System = Literal["jira", "slack", "email", "github", "name"]


class Mark(NamedTuple):
    """One thing by which a system knows somebody."""

    system: System
    value: str


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
    resolution_id: str = ""  # names differ from site to site and from language to language
    due: str = ""  # a day
    duplicates: str = ""  # the key of the ticket that this one is linked to as a duplicate of


class Comment(Struct, frozen=True):
    """What somebody wrote under a ticket. `ours`: we did, or another machine."""

    id: str
    text: str
    at: datetime  # when it was last written
    name: str = ""
    marks: tuple[Mark, ...] = ()
    ours: bool = False


class Known(Struct, frozen=True):
    """What we believed about the ticket before, and what somebody said elsewhere (in Slack, on the page, in a comment)."""

    done: bool = False
    outcome: OutcomeValue | None = None
    fixed_in: str | None = None
    elsewhere: bool = False
    detail: str = ""  # what else it said: a due date, a link


class Mover(Struct, frozen=True):
    """Who moved the ticket last, as far as the tracker says, and when: otherwise when it was read."""

    name: str
    at: datetime
    marks: tuple[Mark, ...] = ()
    ours: bool = False  # we did it ourselves
